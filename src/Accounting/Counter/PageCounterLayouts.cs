// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// Nothing but offsets: which fields lie on the line that every charge writes. The largest published effects on charging are these (spec 4.2).
// Words that the port does not use (min, low, high, emin ... children_low_usage, local_watermark) keep their room.
//
//   bytes  kernels       on usage's line                     on the next                   on the last
//   40     3.19 to 4.17  limit, parent, watermark, failcnt
//   112    5.8 to 5.11   max, parent                         watermark, failcnt
//   112    5.12 to 6.0   max                                 watermark, failcnt, parent
//   192    6.1 to 6.11   nothing                             watermark, failcnt            max, parent
//   256    6.12 to 6.14  nothing                             watermark                     failcnt alone; max, parent one further
//   192    6.15 on       failcnt (v1 only)                   watermark                     max, parent

/// <summary>A counter with the layout L. Linux: struct page_counter.</summary>
public unsafe interface IPageCounterLayout
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes from one counter of a group to its next.</summary>
    static abstract int Bytes { get; }
    /// <summary>A: pages charged.</summary>
    static abstract AtomicLong* Usage(void* counter);
    /// <summary>A: most pages allowed.</summary>
    static abstract AtomicLong* Limit(void* counter);
    /// <summary>I: the parent group's counter of the same kind, or null.</summary>
    static abstract GuardedPtr<byte>* Parent(void* counter);
    /// <summary>X: highest usage a charge saw; may miss a peak when two CPUs raise it at once.</summary>
    static abstract AtomicLong* Watermark(void* counter);
    /// <summary>X: refused charges; may miss some when two CPUs count at once.</summary>
    static abstract AtomicLong* FailCount(void* counter);
}

/// <summary>3.19: five words, 40 bytes, one line, written and read-mostly fields together.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 40)]
public unsafe struct PageCounter40 : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(8)] private AtomicLong limit;
    [FieldOffset(16)] private GuardedPtr<byte> parent;
    [FieldOffset(24)] private AtomicLong watermark;
    [FieldOffset(32)] private AtomicLong failCount;

    /// <inheritdoc/>
    public static string Name => "40";
    /// <inheritdoc/>
    public static int Bytes => 40;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter40*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter40*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter40*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter40*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter40*)counter)->failCount;
}

/// <summary>5.8 to 5.11: 14 words; who walks up reads max and parent on the line that every charge writes. 4.18 to 5.7 the same without high.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 112)]
public unsafe struct PageCounter112 : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(32)] private AtomicLong limit;
    [FieldOffset(40)] private GuardedPtr<byte> parent;
    [FieldOffset(96)] private AtomicLong watermark;
    [FieldOffset(104)] private AtomicLong failCount;

    /// <inheritdoc/>
    public static string Name => "112";
    /// <inheritdoc/>
    public static int Bytes => 112;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter112*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter112*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter112*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter112*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter112*)counter)->failCount;
}

/// <summary>5.12 to 6.0: parent last, away from usage.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 112)]
public unsafe struct PageCounter112Apart : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(32)] private AtomicLong limit;
    [FieldOffset(104)] private GuardedPtr<byte> parent;
    [FieldOffset(88)] private AtomicLong watermark;
    [FieldOffset(96)] private AtomicLong failCount;

    /// <inheritdoc/>
    public static string Name => "112 apart";
    /// <inheritdoc/>
    public static int Bytes => 112;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter112Apart*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter112Apart*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter112Apart*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter112Apart*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter112Apart*)counter)->failCount;
}

/// <summary>6.1 to 6.11: three lines, usage alone in the first, watermark and failcnt in the second, limits and parent in the third.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 192)]
public unsafe struct PageCounter192Legacy : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(152)] private AtomicLong limit;
    [FieldOffset(160)] private GuardedPtr<byte> parent;
    [FieldOffset(112)] private AtomicLong watermark;
    [FieldOffset(120)] private AtomicLong failCount;

    /// <inheritdoc/>
    public static string Name => "192 legacy";
    /// <inheritdoc/>
    public static int Bytes => 192;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter192Legacy*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter192Legacy*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter192Legacy*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter192Legacy*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter192Legacy*)counter)->failCount;
}

/// <summary>6.12 to 6.14: local_watermark (c6f53ed8f213) pushed failcnt over the second line's end, so that a line more is padded.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public unsafe struct PageCounter256 : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(216)] private AtomicLong limit;
    [FieldOffset(224)] private GuardedPtr<byte> parent;
    [FieldOffset(112)] private AtomicLong watermark;
    [FieldOffset(128)] private AtomicLong failCount;

    /// <inheritdoc/>
    public static string Name => "256";
    /// <inheritdoc/>
    public static int Bytes => 256;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter256*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter256*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter256*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter256*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter256*)counter)->failCount;
}

/// <summary>6.18: three lines; usage alone in the first, watermarks in the second, limits and parent in the third (spec 3.1).</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 192)]
public unsafe struct PageCounter192 : IPageCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(8)] private AtomicLong failCount;
    [FieldOffset(112)] private AtomicLong watermark;
    [FieldOffset(160)] private AtomicLong limit;
    [FieldOffset(168)] private GuardedPtr<byte> parent;

    /// <inheritdoc/>
    public static string Name => "192";
    /// <inheritdoc/>
    public static int Bytes => 192;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((PageCounter192*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((PageCounter192*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((PageCounter192*)counter)->parent;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Watermark(void* counter) => &((PageCounter192*)counter)->watermark;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((PageCounter192*)counter)->failCount;
}
