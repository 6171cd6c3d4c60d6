// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>
/// The per-CPU area: one block of <see cref="Bytes"/> per CPU, on the CPU's node. The head is Native's; the rooms above own a range
/// each at a constant offset and cast their own state from it (layout tests check the fit).
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct CpuArea
{
    /// <summary>Bytes of one area: five 4 KiB pages, so that areas of different nodes never share a page.</summary>
    public const int Bytes = 20480;
    /// <summary>Where the page allocator's range begins; 1 KiB.</summary>
    public const int AllocatorOffset = 1024;
    /// <summary>Where the ranges of the accounting axes begin: <see cref="AxisBytes"/> each, in the order Counter, PageCgroup, Lru, Uncharge, Residents, Kmem.</summary>
    public const int AxesOffset = 2048;
    /// <summary>Bytes of one axis' range.</summary>
    public const int AxisBytes = 2048;
    /// <summary>Where the range of Mm, the statistics and the workload begins; 6 KiB.</summary>
    public const int MmOffset = AxesOffset + 6 * AxisBytes;

    /// <summary>I: dense index of this CPU in the table, 0..n-1.</summary>
    [FieldOffset(0)] public Guarded<int> Index;
    /// <summary>I: the operating system's number.</summary>
    [FieldOffset(4)] public Guarded<int> CpuNumber;
    /// <summary>I: the node this CPU belongs to.</summary>
    [FieldOffset(8)] public Guarded<int> NodeNumber;
    /// <summary>A: 1 while the CPU takes part in grace periods.</summary>
    [FieldOffset(12)] public AtomicInt Online;
    /// <summary>I: the table of all CPUs.</summary>
    [FieldOffset(16)] public GuardedPtr<CpuTable> Table;

    /// <summary>RCU's line: read-side nesting and quiescent state, written by this CPU, read by whoever waits for a grace period.</summary>
    [FieldOffset(128)] public RcuCpu Rcu;

    /// <summary>A: work other CPUs asked this one to do at its next poll point; newest first.</summary>
    [FieldOffset(512)] public AtomicPtr<CpuWork> Work;
    /// <summary>A: what this CPU's nested irq role has to do; newest first.</summary>
    [FieldOffset(520)] public AtomicPtr<CpuWork> Irq;

    /// <summary>C: this CPU's queue node per nesting level for queued locks (Linux: qnodes).</summary>
    [FieldOffset(640)] public McsNodes LockNodes;
}

/// <summary>All CPUs of the gang.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 512)]
public unsafe struct CpuTable
{
    /// <summary>I: number of areas.</summary>
    [FieldOffset(0)] public Guarded<int> Count;
    /// <summary>I: how grace periods are found, an <see cref="Native.RcuFlavour"/>.</summary>
    [FieldOffset(4)] public Guarded<int> RcuFlavour;
    /// <summary>I: array of Count pointers to areas. Untyped: two structs that name each other as type arguments do not load.</summary>
    [FieldOffset(8)] public GuardedPtr<Guarded<nint>> Areas;
    /// <summary>O: 1 when the workers are to return; read-mostly.</summary>
    [FieldOffset(16)] public AtomicInt Stop;

    /// <summary>The grace-period state all CPUs share.</summary>
    [FieldOffset(128)] public RcuGlobal Rcu;

    /// <summary>The area of CPU index (dense).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static CpuArea* Area(CpuTable* t, int index) => (CpuArea*)Guarded<nint>.Get(GuardedPtr<Guarded<nint>>.Get(&t->Areas) + index);
}

/// <summary>Witness: "I run on this CPU and nobody else touches its area". Handed to the pinned thread once; never stored, never captured.</summary>
public readonly unsafe ref struct ThisCpu
{
    /// <summary>This CPU's area.</summary>
    public readonly CpuArea* Area;

    /// <summary>Only whoever pinned the thread (CpuGang, the explorer) makes one.</summary>
    public ThisCpu(CpuArea* area) => Area = area;

    /// <summary>Dense index, 0..n-1.</summary>
    public int Index { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => Guarded<int>.Get(&Area->Index); }

    /// <summary>The node of this CPU.</summary>
    public NodeId Node { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => new(Guarded<int>.Get(&Area->NodeNumber)); }

    /// <summary>The table of all CPUs.</summary>
    public CpuTable* Table { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => GuardedPtr<CpuTable>.Get(&Area->Table); }

    /// <summary>A room's own state at its constant offset.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T* At<T>(int offset) where T : unmanaged => (T*)((byte*)Area + offset);
}
