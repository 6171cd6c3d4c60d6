// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>A bit lock in the shape of the other kinds, so that the same cases explore it. Its word has no WaitForHolder.</summary>
internal readonly unsafe struct BitLockKind<T> : ILockKind where T : struct, IBitLock
{
    public static string Name => T.Name;
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => T.Acquire(&l->Whole);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => T.TryAcquire(&l->Whole);
    public static void Release(in ThisCpu cpu, LockWord* l) => T.Release(&l->Whole);
    public static bool IsHeld(LockWord* l) => T.IsHeld(&l->Whole);
    public static void WaitForHolder(LockWord* l) { }
}
