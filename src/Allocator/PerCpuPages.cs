// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// Free single pages of one zone that this CPU alone hands out: no lock while it has some. Linux: struct per_cpu_pages,
/// include/linux/mmzone.h; rmqueue_bulk and free_pcppages_bulk, mm/page_alloc.c.
/// </summary>
/// <remarks>A stack of pointers where Linux links struct pages: a push or pop touches no neighbour's line. The last page freed is the
/// first handed out (warm); a drain takes the oldest. State letter of all: C.</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = EntriesOffset)]
public unsafe struct PerCpuPages
{
    /// <summary>Bytes of one with its entries; a power of two, so that the list of a node is found by a shift.</summary>
    public const int Bytes = 1 << Shift;
    private const int Shift = 11;
    private const int EntriesOffset = 64;
    /// <summary>Largest possible High.</summary>
    public const int Capacity = (Bytes - EntriesOffset) / 8;
    /// <summary>Linux from 2.6.12 to 5.x: 31 pages a batch.</summary>
    public const int DefaultBatch = 31;
    /// <summary>Linux: six batches.</summary>
    public const int DefaultHigh = 6 * DefaultBatch;

    /// <summary>C: pages on the list.</summary>
    [FieldOffset(0)] public Guarded<int> Count;
    /// <summary>I: Count at which a free drains first.</summary>
    [FieldOffset(4)] public Guarded<int> High;
    /// <summary>I: pages per refill and drain.</summary>
    [FieldOffset(8)] public Guarded<int> Batch;
    /// <summary>I: whose pages.</summary>
    [FieldOffset(16)] public GuardedPtr<Zone> Zone;

    /// <summary>Makes an empty list.</summary>
    public static void Init(PerCpuPages* list, Zone* zone, int batch, int high)
    {
        Guarded<int>.Set(&list->Count, 0);
        Guarded<int>.Set(&list->High, high);
        Guarded<int>.Set(&list->Batch, batch);
        GuardedPtr<Zone>.Set(&list->Zone, zone);
    }

    /// <summary>The list of node index in a CPU's array.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PerCpuPages* At(PerCpuPages* lists, nint nodeIndex) => (PerCpuPages*)((byte*)lists + (nodeIndex << Shift));

    /// <summary>The i-th page, oldest first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GuardedPtr<Page>* Entry(PerCpuPages* list, int i) => (GuardedPtr<Page>*)((byte*)list + EntriesOffset) + i;

    /// <summary>Fills an empty list with up to a batch as long as the zone stays at or above mark pages; returns how many.</summary>
    public static int Refill(in ThisCpu cpu, PerCpuPages* list, long mark)
    {
        Zone* zone = GuardedPtr<Zone>.Get(&list->Zone);
        if (AtomicLong.RacyLoad(&zone->NrFree) <= mark) return 0; // X: stale by one holder's work; looked at again below
        Allocator.Zone.Acquire(in cpu, zone);
        int count = (int)Math.Clamp(AtomicLong.RacyLoad(&zone->NrFree) - mark, 0, Guarded<int>.Get(&list->Batch));
        // Low addresses on top, so that a run of allocations walks the memory upwards.
        for (int i = count; i-- > 0;)
            GuardedPtr<Page>.Set(Entry(list, i), Allocator.Zone.Take(zone, 0));
        Allocator.Zone.Release(in cpu, zone);
        Guarded<int>.Set(&list->Count, count);
        return count;
    }

    /// <summary>Gives the oldest count pages back to the zone.</summary>
    public static void Drain(in ThisCpu cpu, PerCpuPages* list, int count)
    {
        int had = Guarded<int>.Get(&list->Count);
        if (count == 0) return;
        Zone* zone = GuardedPtr<Zone>.Get(&list->Zone);
        Allocator.Zone.Acquire(in cpu, zone);
        for (int i = 0; i < count; i++)
            Allocator.Zone.Give(zone, GuardedPtr<Page>.Get(Entry(list, i)), 0);
        Allocator.Zone.Release(in cpu, zone);
        for (int i = count; i < had; i++)
            GuardedPtr<Page>.Set(Entry(list, i - count), GuardedPtr<Page>.Get(Entry(list, i)));
        Guarded<int>.Set(&list->Count, had - count);
    }
}
