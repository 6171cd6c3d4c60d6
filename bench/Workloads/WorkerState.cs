// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;

namespace MemcgNative.Bench;

/// <summary>
/// What one worker has for one workload. Written by its worker while a batch runs and by the controller between batches; starting
/// and ending a batch goes through the gang's monitor, which orders the two.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
internal unsafe struct WorkerState
{
    /// <summary>Two pages, the second its room for pages: so that each worker's state can lie on its own node.</summary>
    public const int Bytes = 8192;

    /// <summary>The address space faults go to.</summary>
    [FieldOffset(0)] public MmStruct* Mm;
    /// <summary>The group that pays.</summary>
    [FieldOffset(8)] public Memcg* Memcg;
    /// <summary>Room for <see cref="PageSlots"/> pages.</summary>
    [FieldOffset(16)] public Page** Pages;
    /// <summary>Where in its ring of pages the workload is.</summary>
    [FieldOffset(24)] public long Cursor;
    /// <summary>Operations that were refused (limit reached, no frame), ever.</summary>
    [FieldOffset(32)] public long Failed;
    /// <summary>What a C twin works on.</summary>
    [FieldOffset(40)] public void* Twin;
    /// <summary>The C twin's function.</summary>
    [FieldOffset(48)] public void* TwinFunction;
    /// <summary>A sparse file of this worker's own.</summary>
    [FieldOffset(56)] public FileSpace* File;

    /// <summary>The cache kernel objects come from.</summary>
    [FieldOffset(104)] public SlabCache* Cache;
    /// <summary>Idle kernel objects per group and node.</summary>
    [FieldOffset(112)] public ListLru* Idle;
    /// <summary>The group below <see cref="Memcg"/> the worker made last, or null.</summary>
    [FieldOffset(64)] public Memcg* Child;

    /// <summary>The next card of <see cref="Deck"/>, counted on without end.</summary>
    [FieldOffset(72)] public long Card;
    /// <summary>Address spaces, the first of them <see cref="Mm"/>.</summary>
    [FieldOffset(80)] public long Spaces;
    /// <summary>Bytes from one to the next.</summary>
    [FieldOffset(88)] public long SpaceStride;
    /// <summary>Objects a group gets in its life.</summary>
    [FieldOffset(96)] public int Objects;

    /// <summary>Operations of the last batch.</summary>
    [FieldOffset(128)] public long Done;
    /// <summary>Clock ticks the last batch took.</summary>
    [FieldOffset(136)] public long Elapsed;
    /// <summary>The longer canary of the last batch, in ticks.</summary>
    [FieldOffset(144)] public long Canary;
    /// <summary>Managed bytes this thread allocated inside batches, ever; must stay 0.</summary>
    [FieldOffset(152)] public long Managed;
    /// <summary>Operations of the last batch that were refused; they are in <see cref="Done"/>.</summary>
    [FieldOffset(160)] public long Refused;
    /// <summary>Times the CPU was taken away from the start line to the end of the last batch.</summary>
    [FieldOffset(168)] public long Switches;
    /// <summary>Kinds of list work in the order the worker does them.</summary>
    [FieldOffset(1024)] public fixed byte Deck[DeckCards];
    /// <summary>Cards of a deck.</summary>
    public const int DeckCards = 1024;
    /// <summary>One of the worker's address spaces.</summary>
    public static MmStruct* Space(WorkerState* w, long i) => (MmStruct*)((byte*)w->Mm + i * w->SpaceStride);

    /// <summary>Pages a worker can hold.</summary>
    public const int PageSlots = 512;
    /// <summary>Where the room for them begins.</summary>
    public const int SlotsOffset = 4096;
}
