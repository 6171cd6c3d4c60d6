// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Tests.Interleavings;

namespace MemcgNative.Native;

/// <summary>
/// The twin of src/Native/Cpu/Machine.cs: the same members, each marked access a step of the running agent, each plain access checked. What
/// is explored is the source that ships. A test compares the two lists of members.
/// </summary>
public static unsafe class Machine
{
    public static bool LocksArePrimitive { get; internal set; } = true;

    public static byte Load(byte* p, string file, int line) => (byte)Accesses.Load(p, 1, Sites.Of(file, line));
    public static int Load(int* p, string file, int line) => (int)Accesses.Load(p, 4, Sites.Of(file, line));
    public static long Load(long* p, string file, int line) => Accesses.Load(p, 8, Sites.Of(file, line));

    public static void Store(byte* p, byte v, string file, int line) => Accesses.Store(p, 1, v, Sites.Of(file, line));
    public static void Store(int* p, int v, string file, int line) => Accesses.Store(p, 4, v, Sites.Of(file, line));
    public static void Store(long* p, long v, string file, int line) => Accesses.Store(p, 8, v, Sites.Of(file, line));

    public static byte Exchange(byte* p, byte v, string file, int line) => (byte)Accesses.Rmw(p, 1, RmwKind.Exchange, v, 0, false, Sites.Of(file, line));
    public static int Exchange(int* p, int v, string file, int line) => (int)Accesses.Rmw(p, 4, RmwKind.Exchange, v, 0, false, Sites.Of(file, line));
    public static long Exchange(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.Exchange, v, 0, false, Sites.Of(file, line));

    public static int CompareExchange(int* p, int v, int expected, string file, int line) => (int)Accesses.Rmw(p, 4, RmwKind.CompareExchange, v, expected, false,
        Sites.Of(file, line));
    public static long CompareExchange(long* p, long v, long expected, string file, int line) =>
        Accesses.Rmw(p, 8, RmwKind.CompareExchange, v, expected, false, Sites.Of(file, line));

    public static int AddReturn(int* p, int v, string file, int line) => (int)Accesses.Rmw(p, 4, RmwKind.Add, v, 0, false, Sites.Of(file, line)) + v;
    public static long AddReturn(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.Add, v, 0, false, Sites.Of(file, line)) + v;

    public static void Add(int* p, int v, string file, int line) => Accesses.Rmw(p, 4, RmwKind.Add, v, 0, true, Sites.Of(file, line));
    public static void Add(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.Add, v, 0, true, Sites.Of(file, line));

    public static int FetchOr(int* p, int v, string file, int line) => (int)Accesses.Rmw(p, 4, RmwKind.Or, v, 0, false, Sites.Of(file, line));
    public static long FetchOr(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.Or, v, 0, false, Sites.Of(file, line));
    public static int FetchAnd(int* p, int v, string file, int line) => (int)Accesses.Rmw(p, 4, RmwKind.And, v, 0, false, Sites.Of(file, line));
    public static long FetchAnd(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.And, v, 0, false, Sites.Of(file, line));

    public static void Or(int* p, int v, string file, int line) => Accesses.Rmw(p, 4, RmwKind.Or, v, 0, true, Sites.Of(file, line));
    public static void Or(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.Or, v, 0, true, Sites.Of(file, line));
    public static void And(int* p, int v, string file, int line) => Accesses.Rmw(p, 4, RmwKind.And, v, 0, true, Sites.Of(file, line));
    public static void And(long* p, long v, string file, int line) => Accesses.Rmw(p, 8, RmwKind.And, v, 0, true, Sites.Of(file, line));

    /// <summary>A value wider than a word is read in words.</summary>
    public static T Plain<T>(T* p, string file, int line) where T : unmanaged
    {
        int site = Sites.Of(file, line);
        T v = default;
        if (sizeof(T) is 1 or 2 or 4 or 8) Bytes.Write(&v, sizeof(T), Accesses.Plain(p, sizeof(T), site));
        else
            for (int i = 0; i < sizeof(T); i += Word(sizeof(T))) Bytes.Write((byte*)&v + i, Word(sizeof(T)), Accesses.Plain((byte*)p + i, Word(sizeof(T)), site));
        return v;
    }

    public static void PlainStore<T>(T* p, T v, string file, int line) where T : unmanaged
    {
        int site = Sites.Of(file, line);
        if (sizeof(T) is 1 or 2 or 4 or 8) Accesses.PlainStore(p, sizeof(T), Bytes.Read(&v, sizeof(T)), site);
        else
            for (int i = 0; i < sizeof(T); i += Word(sizeof(T))) Accesses.PlainStore((byte*)p + i, Word(sizeof(T)), Bytes.Read((byte*)&v + i, Word(sizeof(T))), site);
    }

    private static int Word(int bytes) => bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : 1;

    public static void AwaitEqual(int* p, int want, string file, int line) => Accesses.Await(p, 4, OpKind.AwaitEqual, want, Sites.Of(file, line));
    public static int AwaitNot(int* p, int seen, string file, int line) => (int)Accesses.Await(p, 4, OpKind.AwaitNot, seen, Sites.Of(file, line));
    public static long AwaitNot(long* p, long seen, string file, int line) => Accesses.Await(p, 8, OpKind.AwaitNot, seen, Sites.Of(file, line));

    public static void AcquirePrimitive(void* cell, string file, int line) => Accesses.Lock(cell, Sites.Of(file, line));
    public static bool TryAcquirePrimitive(void* cell, string file, int line) => Accesses.TryLock(cell, Sites.Of(file, line));
    public static void ReleasePrimitive(void* cell, string file, int line) => Accesses.Unlock(cell, Sites.Of(file, line));
    public static void AwaitUnheldPrimitive(void* cell, string file, int line) => Accesses.Await(cell, 4, OpKind.AwaitEqual, 0, Sites.Of(file, line));

    public static void Fence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.Fence(Sites.Of(file, line));
    public static void HeavyFence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.ProcessWideFence(Sites.Of(file, line));

    public static void Pause() { }
    public static void Prefetch(void* p) { }

    public static void IrqOff([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Run.IrqOff(Sites.Of(file, line));
    public static void IrqOn([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Run.IrqOn(Sites.Of(file, line));

    public static void OnAlloc(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.OnAlloc(p, bytes, Sites.Of(file, line));
    public static void OnFree(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.OnFree(p, bytes, Sites.Of(file, line));
    public static void OnReuse(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.OnReuse(p, bytes, Sites.Of(file, line));
}
