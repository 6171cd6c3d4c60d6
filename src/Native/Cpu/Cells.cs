// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

// Cells: the types of fields that two CPUs may touch. Accessors are static and take a pointer, because p->Cell.Get() costs a null
// check or an add where Cell.Get(&p->Field) is one mov. Every access ends in Machine, so nothing slips past the explorer; a test
// rejects other field types in a [SharedState] struct.

/// <summary>Marks a struct whose fields other CPUs may touch: all of them must be cells (or other marked structs).</summary>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class SharedStateAttribute : Attribute;

/// <summary>A byte that several CPUs write: the second encoding of a bit lock.</summary>
[SharedState]
public unsafe struct AtomicByte
{
    private byte word;

    /// <summary>Acquire load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Load(AtomicByte* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Load(&c->word, file, line);

    /// <summary>Release store.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(AtomicByte* c, byte v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, v, file, line);

    /// <summary>Plain store before the object is published.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Init(AtomicByte* c, byte v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->word, v, file, line);

    /// <summary>Stores v, returns the old value; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte Exchange(AtomicByte* c, byte v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Exchange(&c->word, v, file, line);

}

/// <summary>A 32-bit word that several CPUs write.</summary>
[SharedState]
public unsafe struct AtomicInt
{
    private int word;

    /// <summary>Acquire load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Load(AtomicInt* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Load(&c->word, file, line);

    /// <summary>Release store.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, v, file, line);

    /// <summary>Plain store before the object is published.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Init(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->word, v, file, line);

    /// <summary>Stores v, returns the old value; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Exchange(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Exchange(&c->word, v, file, line);

    /// <summary>A load whose race is intended; the caller states the bound of the error.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RacyLoad(AtomicInt* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Load(&c->word, file, line);

    /// <summary>A store whose race is intended; the caller states the bound of the error.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void RacyStore(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, v, file, line);

    /// <summary>Stores v if the cell holds expected, returns what was there; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CompareExchange(AtomicInt* c, int v, int expected, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Machine.CompareExchange(&c->word, v, expected, file, line);

    /// <summary>Adds, returns the new value; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int AddReturn(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AddReturn(&c->word, v, file, line);

    /// <summary>Adds, result unused; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(AtomicInt* c, int v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Add(&c->word, v, file, line);

    /// <summary>Sets bits, returns the old word; full fence, a compare-exchange loop on x64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FetchOr(AtomicInt* c, int bits, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.FetchOr(&c->word, bits, file, line);

    /// <summary>Keeps mask, returns the old word; full fence, a compare-exchange loop on x64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FetchAnd(AtomicInt* c, int mask, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.FetchAnd(&c->word, mask, file, line);

    /// <summary>Sets bits, result unused; one locked instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Or(AtomicInt* c, int bits, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Or(&c->word, bits, file, line);

    /// <summary>Keeps mask, result unused; one locked instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void And(AtomicInt* c, int mask, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.And(&c->word, mask, file, line);

    /// <summary>Waits while the cell holds seen, returns what replaced it; acquire. The caller says who ends it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int AwaitNot(AtomicInt* c, int seen, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AwaitNot(&c->word, seen, file, line);

    /// <summary>Waits until the cell holds want; acquire. The caller says who ends it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AwaitEqual(AtomicInt* c, int want, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AwaitEqual(&c->word, want, file, line);

}

/// <summary>A 64-bit word that several CPUs write.</summary>
[SharedState]
public unsafe struct AtomicLong
{
    private long word;

    /// <summary>Acquire load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Load(AtomicLong* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Load(&c->word, file, line);

    /// <summary>Release store.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, v, file, line);

    /// <summary>Plain store before the object is published.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Init(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->word, v, file, line);

    /// <summary>Stores v, returns the old value; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Exchange(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Exchange(&c->word, v, file, line);

    /// <summary>A load whose race is intended; the caller states the bound of the error.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long RacyLoad(AtomicLong* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Load(&c->word, file, line);

    /// <summary>A store whose race is intended; the caller states the bound of the error.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void RacyStore(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, v, file, line);

    /// <summary>Stores v if the cell holds expected, returns what was there; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long CompareExchange(AtomicLong* c, long v, long expected, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Machine.CompareExchange(&c->word, v, expected, file, line);

    /// <summary>Adds, returns the new value; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long AddReturn(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AddReturn(&c->word, v, file, line);

    /// <summary>Adds, result unused; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(AtomicLong* c, long v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Add(&c->word, v, file, line);

    /// <summary>Sets bits, returns the old word; full fence, a compare-exchange loop on x64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long FetchOr(AtomicLong* c, long bits, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.FetchOr(&c->word, bits, file, line);

    /// <summary>Keeps mask, returns the old word; full fence, a compare-exchange loop on x64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long FetchAnd(AtomicLong* c, long mask, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.FetchAnd(&c->word, mask, file, line);

    /// <summary>Sets bits, result unused; one locked instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Or(AtomicLong* c, long bits, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Or(&c->word, bits, file, line);

    /// <summary>Keeps mask, result unused; one locked instruction.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void And(AtomicLong* c, long mask, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.And(&c->word, mask, file, line);

    /// <summary>Waits while the cell holds seen, returns what replaced it; acquire. The caller says who ends it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long AwaitNot(AtomicLong* c, long seen, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AwaitNot(&c->word, seen, file, line);

}

/// <summary>A pointer that several CPUs write. Load is rcu_dereference (acquire here), Store is rcu_assign_pointer.</summary>
[SharedState]
public unsafe struct AtomicPtr<T> where T : unmanaged
{
    private long word;

    /// <summary>Acquire load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Load(AtomicPtr<T>* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => (T*)Machine.Load(&c->word, file, line);

    /// <summary>Release store: publishes what v points to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(AtomicPtr<T>* c, T* v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Store(&c->word, (long)v, file, line);

    /// <summary>Plain store before the object is published.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Init(AtomicPtr<T>* c, T* v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->word, (long)v, file, line);

    /// <summary>Stores v, returns the old pointer; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Exchange(AtomicPtr<T>* c, T* v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => (T*)Machine.Exchange(&c->word, (long)v, file, line);

    /// <summary>Stores v if the cell holds expected, returns what was there; full fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* CompareExchange(AtomicPtr<T>* c, T* v, T* expected, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        (T*)Machine.CompareExchange(&c->word, (long)v, (long)expected, file, line);

    /// <summary>Waits while the cell holds seen, returns what replaced it; acquire. The caller says who ends it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* AwaitNot(AtomicPtr<T>* c, T* seen, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        (T*)Machine.AwaitNot(&c->word, (long)seen, file, line);

}

/// <summary>Plain data that a lock, or exclusive ownership, guards: one mov here, race-checked in the explorer.</summary>
[SharedState]
public unsafe struct Guarded<T> where T : unmanaged
{
    private T value;

    /// <summary>Plain load by whoever holds the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Get(Guarded<T>* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.Plain(&c->value, file, line);

    /// <summary>Plain store by whoever holds the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(Guarded<T>* c, T v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->value, v, file, line);
}

/// <summary>A plain pointer that a lock, or exclusive ownership, guards.</summary>
[SharedState]
public unsafe struct GuardedPtr<T> where T : unmanaged
{
    private long value;

    /// <summary>Plain load by whoever holds the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Get(GuardedPtr<T>* c, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => (T*)Machine.Plain(&c->value, file, line);

    /// <summary>Plain store by whoever holds the guard.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(GuardedPtr<T>* c, T* v, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.PlainStore(&c->value, (long)v, file, line);
}
