// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What all CPUs share of the slab layer: the registry of caches, the kmalloc sizes, and the queue of caches to be created. Linux:
/// slab_caches, slab_mutex, kmalloc_caches, mm/slab_common.c.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 512)]
public unsafe struct SlabState
{
    /// <summary>L: slab_mutex: the lists of caches, the slots of roots, owners of caches at offline. Spins here: holders never wait. Leaf but for allocator locks.</summary>
    [FieldOffset(0)] public LockWord Mutex;
    /// <summary>L: under <see cref="Mutex"/>: every cache there is.</summary>
    [FieldOffset(8)] public ListHead Caches;
    /// <summary>L: under <see cref="Mutex"/>: serial number of the next copy, so that names stay unique when ids are reused (D15).</summary>
    [FieldOffset(24)] public Guarded<long> NextSerial;
    /// <summary>I: the allocator.</summary>
    [FieldOffset(32)] public GuardedPtr<AllocatorState> Allocator;
    /// <summary>I: bytes of descriptor each runtime-made cache needs.</summary>
    [FieldOffset(40)] public Guarded<int> DescriptorBytes;
    /// <summary>I: number of CPUs.</summary>
    [FieldOffset(44)] public Guarded<int> Cpus;

    /// <summary>L: under <see cref="Mutex"/>: every list_lru.</summary>
    [FieldOffset(48)] public ListHead ListLrus;

    /// <summary>L: guards the creation queue; test of a dying root and enqueueing are one step under it (D18). Taken inside <see cref="Mutex"/>.</summary>
    [FieldOffset(128)] public LockWord QueueLock;
    /// <summary>L: under <see cref="QueueLock"/>: caches to be created.</summary>
    [FieldOffset(136)] public ListHead Queue;

    /// <summary>L: objcg_lock: owners and lists of all objcgs; a leaf lock of its own since 5.17 (E9).</summary>
    [FieldOffset(256)] public LockWord ObjcgLock;

    /// <summary>I: SlabCache* per kmalloc size, unaccounted, then accounted.</summary>
    [FieldOffset(320)] public Guarded<nint> Kmalloc;

    /// <summary>The layer this CPU is attached to, or null when it was never built.</summary>
    public static SlabState* Of(in ThisCpu cpu) => GuardedPtr<SlabState>.Get(&SlabCpu.Of(cpu.Area)->Slab);

    /// <summary>The cache of a kmalloc size class.</summary>
    public static SlabCache* KmallocCache(SlabState* slab, int size, bool accounted) =>
        (SlabCache*)Guarded<nint>.Get(&slab->Kmalloc + (accounted ? KmallocSizes.Count : 0) + size);
}

/// <summary>The slab layer's per-CPU state, at the front of the Kmem axis' range.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 512)]
public unsafe struct SlabCpu
{
    /// <summary>Where it lies in the CPU's area.</summary>
    public const int Offset = CpuArea.AxesOffset + 5 * CpuArea.AxisBytes;

    /// <summary>I: the layer.</summary>
    [FieldOffset(0)] public GuardedPtr<SlabState> Slab;
    /// <summary>A: this CPU is to work off the creation queue.</summary>
    [FieldOffset(8)] public CpuWork Create;

    /// <summary>O: the byte stock's owner, an objcg or a group; written by this CPU, read by drainers inside RCU (F9).</summary>
    [FieldOffset(128)] public AtomicLong Stocked;
    /// <summary>O: bytes the owner has here.</summary>
    [FieldOffset(136)] public AtomicInt Bytes;

    /// <summary>A: another CPU's request to empty the byte stock.</summary>
    [FieldOffset(256)] public CpuWork Drain;

    /// <summary>A CPU's.</summary>
    public static SlabCpu* Of(CpuArea* area) => (SlabCpu*)((byte*)area + Offset);
}

/// <summary>kmalloc's size classes. Linux: kmalloc_info, mm/slab_common.c, up to what fits a one-page slab with its freelist; larger requests are pages.</summary>
public static class KmallocSizes
{
    private static ReadOnlySpan<int> Sizes => [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024];

    /// <summary>Number of classes.</summary>
    public const int Count = 10;
    /// <summary>Largest request a class serves, in bytes.</summary>
    public const int Largest = 1024;

    /// <summary>Bytes of a class.</summary>
    public static int BytesOf(int size) => Sizes[size];

    /// <summary>The class that serves a request; the caller knows that it is at most <see cref="Largest"/>.</summary>
    public static int ClassOf(int bytes)
    {
        int i = 0;
        while (Sizes[i] < bytes) i++;
        return i;
    }
}
