// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using MemcgNative.Tests.Torture;

namespace MemcgNative.Native;

/// <summary>
/// The third hardware: that of src/Native/Cpu/Machine.cs, with a delay before a marked access now and then, and waits that a failure
/// elsewhere can break off. A delay finds rare windows and hides store-buffer bugs (it drains the buffer), so runs alternate with and without.
/// </summary>
public static unsafe class Machine
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    private const int PollsBeforeYield = 512;

    public static bool LocksArePrimitive { [MethodImpl(Inline)] get => false; }

    [MethodImpl(Inline)] public static byte Load(byte* p, string file, int line) { Perturb.Reads(p, file); return Volatile.Read(ref *p); }
    [MethodImpl(Inline)] public static int Load(int* p, string file, int line) { Perturb.Reads(p, file); return Volatile.Read(ref *p); }
    [MethodImpl(Inline)] public static long Load(long* p, string file, int line) { Perturb.Reads(p, file); return Volatile.Read(ref *p); }
    [MethodImpl(Inline)] public static void Store(byte* p, byte v, string file, int line) { Perturb.Writes(p, file); Volatile.Write(ref *p, v); }
    [MethodImpl(Inline)] public static void Store(int* p, int v, string file, int line) { Perturb.Writes(p, file); Volatile.Write(ref *p, v); }
    [MethodImpl(Inline)] public static void Store(long* p, long v, string file, int line) { Perturb.Writes(p, file); Volatile.Write(ref *p, v); }
    [MethodImpl(Inline)] public static byte Exchange(byte* p, byte v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Exchange(ref *p, v); }
    [MethodImpl(Inline)] public static int Exchange(int* p, int v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Exchange(ref *p, v); }
    [MethodImpl(Inline)] public static long Exchange(long* p, long v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Exchange(ref *p, v); }

    [MethodImpl(Inline)]
    public static int CompareExchange(int* p, int v, int expected, string file, int line) { Perturb.Locked(p, file); return Interlocked.CompareExchange(ref *p, v, expected); }

    [MethodImpl(Inline)]
    public static long CompareExchange(long* p, long v, long expected, string file, int line) { Perturb.Locked(p, file); return Interlocked.CompareExchange(ref *p, v, expected); }

    [MethodImpl(Inline)] public static int AddReturn(int* p, int v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Add(ref *p, v); }
    [MethodImpl(Inline)] public static long AddReturn(long* p, long v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Add(ref *p, v); }
    [MethodImpl(Inline)] public static void Add(int* p, int v, string file, int line) { Perturb.Locked(p, file); Interlocked.Add(ref *p, v); }
    [MethodImpl(Inline)] public static void Add(long* p, long v, string file, int line) { Perturb.Locked(p, file); Interlocked.Add(ref *p, v); }
    [MethodImpl(Inline)] public static int FetchOr(int* p, int v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Or(ref *p, v); }
    [MethodImpl(Inline)] public static long FetchOr(long* p, long v, string file, int line) { Perturb.Locked(p, file); return Interlocked.Or(ref *p, v); }
    [MethodImpl(Inline)] public static int FetchAnd(int* p, int v, string file, int line) { Perturb.Locked(p, file); return Interlocked.And(ref *p, v); }
    [MethodImpl(Inline)] public static long FetchAnd(long* p, long v, string file, int line) { Perturb.Locked(p, file); return Interlocked.And(ref *p, v); }
    [MethodImpl(Inline)] public static void Or(int* p, int v, string file, int line) { Perturb.Locked(p, file); Interlocked.Or(ref *p, v); }
    [MethodImpl(Inline)] public static void Or(long* p, long v, string file, int line) { Perturb.Locked(p, file); Interlocked.Or(ref *p, v); }
    [MethodImpl(Inline)] public static void And(int* p, int v, string file, int line) { Perturb.Locked(p, file); Interlocked.And(ref *p, v); }
    [MethodImpl(Inline)] public static void And(long* p, long v, string file, int line) { Perturb.Locked(p, file); Interlocked.And(ref *p, v); }

    // Guarded data: no delay of its own, the marked accesses around it have theirs.
    [MethodImpl(Inline)] public static T Plain<T>(T* p, string file, int line) where T : unmanaged { LineTally.Reads(p, file); return *p; }
    [MethodImpl(Inline)] public static void PlainStore<T>(T* p, T v, string file, int line) where T : unmanaged { LineTally.Writes(p, file); *p = v; }

    [MethodImpl(Inline)]
    public static void AwaitEqual(int* p, int want, string file, int line)
    {
        for (int polls = 0; Volatile.Read(ref *p) != want; polls++) Relax(polls, file, line);
    }

    [MethodImpl(Inline)]
    public static int AwaitNot(int* p, int seen, string file, int line)
    {
        int v;
        for (int polls = 0; (v = Volatile.Read(ref *p)) == seen; polls++) Relax(polls, file, line);
        return v;
    }

    [MethodImpl(Inline)]
    public static long AwaitNot(long* p, long seen, string file, int line)
    {
        long v;
        for (int polls = 0; (v = Volatile.Read(ref *p)) == seen; polls++) Relax(polls, file, line);
        return v;
    }

    private static void Relax(int polls, string file, int line)
    {
        if (polls == 0) Perturb.Waits++;
        if (polls < PollsBeforeYield) Pause();
        else Perturb.StillWaiting(file, line);
    }

    public static void AcquirePrimitive(void* cell, string file, int line) => throw new NotSupportedException();
    public static bool TryAcquirePrimitive(void* cell, string file, int line) => throw new NotSupportedException();
    public static void ReleasePrimitive(void* cell, string file, int line) => throw new NotSupportedException();
    public static void AwaitUnheldPrimitive(void* cell, string file, int line) => throw new NotSupportedException();

    [MethodImpl(Inline)] public static void Fence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { Perturb.Locked(null, file); Interlocked.MemoryBarrier(); }
    [MethodImpl(Inline)] public static void HeavyFence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Interlocked.MemoryBarrierProcessWide();

    [MethodImpl(Inline)]
    public static void Pause()
    {
        if (X86Base.IsSupported) X86Base.Pause();
        else if (ArmBase.IsSupported) ArmBase.Yield();
    }

    [MethodImpl(Inline)] public static void Prefetch(void* p) { }
    [MethodImpl(Inline)] public static void IrqOff([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
    [MethodImpl(Inline)] public static void IrqOn([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
    [MethodImpl(Inline)] public static void OnAlloc(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
    [MethodImpl(Inline)] public static void OnFree(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
    [MethodImpl(Inline)] public static void OnReuse(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
}
