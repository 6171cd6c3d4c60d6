// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its authors' terms: a resource is charged before it is used, against a limit that must hold at every instant, and the
// highest usage and the refusals are wanted too. Four words that belong together: one spinlock, held for a compare and an add.
//
//   charge    leaf to root: lock, compare, add, unlock; refused: the levels below are taken back in a second walk (I3: never over the limit)
//   uncharge  leaf to root: lock, subtract, unlock
//
//   operation   charge  uncharge  set_limit
//   any            L        L         L            one level's lock at a time, never two: levels change one after the other
//
// What differs from Linux: amounts are pages, not bytes; 2.6.27 had no hierarchy, so its 40 bytes hold no parent: the level above is found
// through the group. Underflow is a Bug at once (Linux warns and stops at 0).

/// <summary>A counter with the layout L. Linux: struct res_counter.</summary>
public unsafe interface IResCounterLayout
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes from one counter of a group to its next.</summary>
    static abstract int Bytes { get; }
    /// <summary>L: pages charged; read without the lock.</summary>
    static abstract AtomicLong* Usage(void* counter);
    /// <summary>L: highest usage.</summary>
    static abstract AtomicLong* MaxUsage(void* counter);
    /// <summary>L: most pages allowed.</summary>
    static abstract AtomicLong* Limit(void* counter);
    /// <summary>L: refused charges.</summary>
    static abstract AtomicLong* FailCount(void* counter);
    /// <summary>Irq-safe; guards the four.</summary>
    static abstract LockWord* Lock(void* counter);
    /// <summary>I: the parent group's counter of the same kind; null where the layout has no such field.</summary>
    static abstract GuardedPtr<byte>* Parent(void* counter);
}

/// <summary>2.6.25 to 2.6.28: four words and the lock, 40 bytes.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 40)]
public unsafe struct ResCounter40 : IResCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(8)] private AtomicLong maxUsage;
    [FieldOffset(16)] private AtomicLong limit;
    [FieldOffset(24)] private AtomicLong failCount;
    [FieldOffset(32)] private LockWord @lock;

    /// <inheritdoc/>
    public static string Name => "40";
    /// <inheritdoc/>
    public static int Bytes => 40;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((ResCounter40*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* MaxUsage(void* counter) => &((ResCounter40*)counter)->maxUsage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((ResCounter40*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((ResCounter40*)counter)->failCount;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static LockWord* Lock(void* counter) => &((ResCounter40*)counter)->@lock;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => null;
}

/// <summary>2.6.31 to 3.18: with soft limit and parent, 56 bytes.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 56)]
public unsafe struct ResCounter56 : IResCounterLayout
{
    [FieldOffset(0)] private AtomicLong usage;
    [FieldOffset(8)] private AtomicLong maxUsage;
    [FieldOffset(16)] private AtomicLong limit;
    [FieldOffset(24)] private AtomicLong softLimit;
    [FieldOffset(32)] private AtomicLong failCount;
    [FieldOffset(40)] private LockWord @lock;
    [FieldOffset(48)] private GuardedPtr<byte> parent;

    /// <inheritdoc/>
    public static string Name => "56";
    /// <inheritdoc/>
    public static int Bytes => 56;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Usage(void* counter) => &((ResCounter56*)counter)->usage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* MaxUsage(void* counter) => &((ResCounter56*)counter)->maxUsage;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Limit(void* counter) => &((ResCounter56*)counter)->limit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* FailCount(void* counter) => &((ResCounter56*)counter)->failCount;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static LockWord* Lock(void* counter) => &((ResCounter56*)counter)->@lock;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<byte>* Parent(void* counter) => &((ResCounter56*)counter)->parent;
    /// <summary>L: usage that reclaim aims at when memory is short; nothing here asks for it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* SoftLimit(void* counter) => &((ResCounter56*)counter)->softLimit;
}

/// <summary>Counters charged under a spinlock per level. Linux: kernel/res_counter.c.</summary>
[PatchSeries("Pavel Emelianov", "2007-10", "Memory controller: resource counters", "merged in 2.6.25 (e552b6617067); replaced in 3.19 by page_counter")]
public readonly unsafe struct ResCounter<TLayout, TLock> : ICounterDesign where TLayout : struct, IResCounterLayout where TLock : struct, ILockKind
{
    /// <summary>"No limit", in pages.</summary>
    public const long Unlimited = long.MaxValue / 4096;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => $"ResCounter({TLayout.Name}, {TLock.Name})";

    /// <summary>The counter of kind inside memcg.</summary>
    [MethodImpl(Inline)]
    public static void* Of(Memcg* memcg, CounterKind kind) => (byte*)memcg + Memcg.CounterSlot + (int)kind * TLayout.Bytes;

    [MethodImpl(Inline)]
    private static Memcg* MemcgOf(void* counter, CounterKind kind) => (Memcg*)((byte*)counter - Memcg.CounterSlot - (int)kind * TLayout.Bytes);

    /// <summary>The same counter one level up, or null.</summary>
    [MethodImpl(Inline)]
    private static void* Above(void* counter, CounterKind kind)
    {
        GuardedPtr<byte>* parent = TLayout.Parent(counter);
        if (parent != null) return GuardedPtr<byte>.Get(parent);
        Memcg* above = Memcg.ParentOf(MemcgOf(counter, kind));
        return above == null ? null : Of(above, kind);
    }

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent)
    {
        for (CounterKind kind = CounterKind.Memory; kind <= CounterKind.Kmem; kind++)
        {
            void* c = Of(memcg, kind);
            AtomicLong.Init(TLayout.Usage(c), 0);
            AtomicLong.Init(TLayout.MaxUsage(c), 0);
            AtomicLong.Init(TLayout.Limit(c), Unlimited);
            AtomicLong.Init(TLayout.FailCount(c), 0);
            TLock.Init(TLayout.Lock(c));
            if (TLayout.Parent(c) != null) GuardedPtr<byte>.Set(TLayout.Parent(c), parent == null ? null : (byte*)Of(parent, kind));
        }
    }

    /// <inheritdoc/>
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin { }

    [MethodImpl(Inline)]
    private static void Lock(in ThisCpu cpu, void* c)
    {
        Machine.IrqOff();
        TLock.Acquire(cpu, TLayout.Lock(c));
    }

    [MethodImpl(Inline)]
    private static void Unlock(in ThisCpu cpu, void* c)
    {
        TLock.Release(cpu, TLayout.Lock(c));
        Machine.IrqOn();
    }

    /// <summary>res_counter_charge: counts at every level, or at none and returns the one that refused. forced asks no limit.</summary>
    public static bool TryCharge(in ThisCpu cpu, void* counter, CounterKind kind, long pages, bool forced, out void* refused)
    {
        for (void* c = counter; c != null; c = Above(c, kind))
        {
            Lock(cpu, c);
            long now = AtomicLong.Load(TLayout.Usage(c)) + pages;
            bool fits = forced || now <= AtomicLong.Load(TLayout.Limit(c));
            if (fits)
            {
                AtomicLong.Store(TLayout.Usage(c), now);
                if (now > AtomicLong.Load(TLayout.MaxUsage(c))) AtomicLong.Store(TLayout.MaxUsage(c), now);
            }
            else AtomicLong.Store(TLayout.FailCount(c), AtomicLong.Load(TLayout.FailCount(c)) + 1);
            Unlock(cpu, c);
            if (fits) continue;
            refused = c;
            UnchargeUntil(cpu, counter, c, kind, pages);
            return false;
        }
        refused = null;
        return true;
    }

    /// <summary>res_counter_uncharge: takes pages off every level from counter up to, not including, end.</summary>
    private static void UnchargeUntil(in ThisCpu cpu, void* counter, void* end, CounterKind kind, long pages)
    {
        for (void* c = counter; c != end; c = Above(c, kind))
        {
            Lock(cpu, c);
            long now = AtomicLong.Load(TLayout.Usage(c)) - pages;
            AtomicLong.Store(TLayout.Usage(c), now);
            Unlock(cpu, c);
            if (now < 0) Bug.Fail("res_counter: usage below zero after uncharge of pages", now, pages);
        }
    }

    private static bool CountsSwap(Memcg* memcg) => Guarded<int>.Get(&Memcg.TreeOf(memcg)->SwapAccounting) != 0;

    /// <inheritdoc/>
    /// <remarks>memory first, then memsw, as __mem_cgroup_try_charge: for a moment memory may exceed memsw.</remarks>
    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        if (!TryCharge(cpu, Of(memcg, CounterKind.Memory), CounterKind.Memory, pages, forced: false, out void* at))
            return Refuse(at, CounterKind.Memory, ref refused);
        if (CountsSwap(memcg) && !TryCharge(cpu, Of(memcg, CounterKind.Memsw), CounterKind.Memsw, pages, forced: false, out at))
        {
            UnchargeUntil(cpu, Of(memcg, CounterKind.Memory), null, CounterKind.Memory, pages);
            return Refuse(at, CounterKind.Memsw, ref refused);
        }
        TPin.OnCounted(cpu, memcg, pages);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Refuse(void* counter, CounterKind kind, ref Refusal refused)
    {
        refused.Memcg = MemcgOf(counter, kind);
        refused.Kind = kind;
        return false;
    }

    /// <inheritdoc/>
    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin
    {
        TryCharge(cpu, Of(memcg, CounterKind.Memory), CounterKind.Memory, pages, forced: true, out _);
        if (CountsSwap(memcg)) TryCharge(cpu, Of(memcg, CounterKind.Memsw), CounterKind.Memsw, pages, forced: true, out _);
        TPin.OnCounted(cpu, memcg, pages);
    }

    /// <inheritdoc/>
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    /// <inheritdoc/>
    /// <remarks>memsw is ignored where swap is not counted, so callers need not ask.</remarks>
    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin
    {
        TPin.OnUncounting(cpu);
        if (memory != 0) UnchargeUntil(cpu, Of(memcg, CounterKind.Memory), null, CounterKind.Memory, memory);
        if (memsw != 0 && CountsSwap(memcg)) UnchargeUntil(cpu, Of(memcg, CounterKind.Memsw), null, CounterKind.Memsw, memsw);
        TPin.OnUncounted(cpu, memcg, memory);
    }

    /// <inheritdoc/>
    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    /// <inheritdoc/>
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) =>
        TryCharge(cpu, Of(memcg, CounterKind.Kmem), CounterKind.Kmem, pages, forced: false, out void* at) || Refuse(at, CounterKind.Kmem, ref refused);
    /// <inheritdoc/>
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) =>
        UnchargeUntil(cpu, Of(memcg, CounterKind.Kmem), null, CounterKind.Kmem, pages);

    /// <inheritdoc/>
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin { }
    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg) => 0;

    /// <inheritdoc/>
    public static long Usage(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.Usage(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long Peak(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.MaxUsage(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long FailCount(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.FailCount(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long Limit(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.Limit(Of(memcg, kind)));

    /// <inheritdoc/>
    /// <remarks>res_counter_set_limit. Whoever writes the file has no CPU's witness; the kinds this counter was built with (tas, ticket) ask for none.</remarks>
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages)
    {
        void* c = Of(memcg, kind);
        Lock(default, c);
        bool fits = AtomicLong.Load(TLayout.Usage(c)) <= pages;
        if (fits) AtomicLong.Store(TLayout.Limit(c), pages);
        Unlock(default, c);
        return fits;
    }
}
