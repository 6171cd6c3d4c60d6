// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// A kind of lock whose holds are timed by whoever keeps statistics of it: two clock reads more per hold, so it is a choice of its own and
/// never the default. The lock itself is TLock.
/// </summary>
public readonly unsafe struct Timed<TLock> : ILockKind where TLock : struct, ILockKind
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => TLock.Name + "-timed";
    /// <inheritdoc/>
    public static bool IsTimed => true;

    /// <inheritdoc/>
    public static void Init(LockWord* l) => TLock.Init(l);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TLock.Acquire(cpu, l);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TLock.TryAcquire(cpu, l);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void Release(in ThisCpu cpu, LockWord* l) => TLock.Release(cpu, l);
    /// <inheritdoc/>
    public static bool IsHeld(LockWord* l) => TLock.IsHeld(l);
    /// <inheritdoc/>
    public static void WaitForHolder(LockWord* l) => TLock.WaitForHolder(l);
}
