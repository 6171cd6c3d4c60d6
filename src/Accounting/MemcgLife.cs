// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
// The tree lock is substrate, no axis: Linux has a mutex here, and nobody who charges ever takes it.
using TreeLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>Why a group could not be removed.</summary>
public enum RemoveResult
{
    /// <summary>It goes offline after a grace period.</summary>
    Removed,
    /// <summary>A task is in it, or a child is online (EBUSY).</summary>
    Busy,
    /// <summary>Somebody else removed it (ENODEV).</summary>
    Gone,
}

/// <summary>
/// mkdir, rmdir and attach. A group goes through four stages (spec 3.6): killed and no longer found; confirmed after a grace period;
/// offline callbacks, children before parents; released at the last reference and recycled after another grace period.
/// </summary>
/// <remarks>
/// Every stage runs on the CPU that began it, at its poll points (Linux: work items). The group's own reference to its parent is put
/// when the group is recycled, so a parent outlives its children.
/// </remarks>
public static unsafe class MemcgLife
{
    /// <summary>cgroup_mkdir: a new group below parent, or null when the table is full or parent is going away.</summary>
    public static Memcg* Create<TC>(in ThisCpu cpu, Memcg* parent) where TC : struct, IMemoryController
    {
        MemcgTree* tree = Memcg.TreeOf(parent);
        Memcg* memcg = null;
        TreeLock.Acquire(cpu, &tree->Lock);
        if (Css.StateOf(&parent->Css) == CssState.Online && !IntrusiveList.IsEmpty(&tree->Free))
        {
            memcg = OfSibling(IntrusiveList.First(&tree->Free));
            IntrusiveList.Remove(&memcg->Sibling);
            Css.Get(cpu, &parent->Css); // put by Recycle
            Init<TC>(tree, memcg, parent);
            if (TC.KmemOnline(cpu, memcg))
            {
                IntrusiveList.Add(&parent->Children, &memcg->Sibling);
                Guarded<int>.Set(&parent->Css.OnlineChildren, Guarded<int>.Get(&parent->Css.OnlineChildren) + 1);
                TC.OnOnline(cpu, memcg);
            }
            else
            {
                memcg = Unmake(cpu, tree, memcg, parent);
            }
        }
        TreeLock.Release(cpu, &tree->Lock);
        return memcg;
    }

    /// <summary>A design had no memory for the new group: nobody has seen it, it goes straight back.</summary>
    private static Memcg* Unmake(in ThisCpu cpu, MemcgTree* tree, Memcg* memcg, Memcg* parent)
    {
        PerCpuRef.Exit(&memcg->Css.Ref);
        AtomicInt.Store(&memcg->Css.State, (int)CssState.Free);
        AtomicLong.Add(&tree->Count, -1);
        IntrusiveList.Add(&tree->Free, &memcg->Sibling);
        Css.Put(cpu, &parent->Css); // got by Create
        return null;
    }

    /// <summary>Fills a group that nobody can find yet; the last store makes it findable.</summary>
    internal static void Init<TC>(MemcgTree* tree, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController
    {
        Machine.OnReuse(memcg, Memcg.Bytes);
        Guarded<nint>.Set(&memcg->Parent, (nint)parent);
        Guarded<int>.Set(&memcg->Depth, parent == null ? 0 : Guarded<int>.Get(&parent->Depth) + 1);
        IntrusiveList.Init(&memcg->Children);
        AtomicInt.Init(&memcg->Tasks, 0);
        AtomicLong.Init(&memcg->ReclaimRounds, 0);
        AtomicLong.Init(&memcg->ChargesFailed, 0);
        AtomicInt.Init(&memcg->Moving, 0);
        TestAndSetLock.Init(&memcg->MoveLock);
        Guarded<int>.Set(&memcg->Css.OnlineChildren, 0);
        Guarded<nint>.Set(&memcg->Css.OfflineFunction, (nint)(delegate*<in ThisCpu, Memcg*, void>)&OfflineDesigns<TC>);
        Guarded<nint>.Set(&memcg->Css.FreeFunction, (nint)(delegate*<in ThisCpu, Memcg*, void>)&FreeDesigns<TC>);
        Guarded<nint>.Set(&memcg->Css.UsageFunction, (nint)(delegate*<Memcg*, long>)&UsageOf<TC>);
        Guarded<nint>.Set(&memcg->Css.LruFunction, (nint)(delegate*<in ThisCpu, Memcg*, bool, bool>)&EndLists<TC>);
        Guarded<nint>.Set(&memcg->Css.ReleaseFunction, (nint)(delegate*<in ThisCpu, Memcg*, bool>)&LastReference<TC>);
        for (int cpu = 0; cpu < Guarded<int>.Get(&tree->Cpus); cpu++) MemcgStatCpu.Init(MemcgTree.Stat(tree, memcg, cpu));
        TC.InitMemcg(memcg, parent);
        for (int node = 0; node < Guarded<int>.Get(&tree->Nodes); node++)
        {
            MemcgNode* memcgNode = Memcg.OnNode(memcg, node);
            GuardedPtr<Memcg>.Set(&memcgNode->Memcg, memcg);
            Guarded<int>.Set(&memcgNode->Node, node);
            TC.InitMemcgNode(memcgNode);
        }
        Css.InitRef(tree, memcg, &Release);
        AtomicLong.Add(&tree->Count, 1);
        AtomicInt.Store(&memcg->Css.State, (int)CssState.Online);
    }

    private static void OfflineDesigns<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => TC.OnOffline(cpu, memcg);

    private static void FreeDesigns<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => TC.KmemCssFree(cpu, memcg);

    private static bool LastReference<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => TC.OnLastReference(cpu, memcg);

    private static bool EndLists<TC>(in ThisCpu cpu, Memcg* memcg, bool freed) where TC : struct, IMemoryController
    {
        if (!freed) return TC.OnReleased(cpu, memcg);
        TC.OnFreed(cpu, memcg);
        return true;
    }

    private static bool EndLists(in ThisCpu cpu, Memcg* memcg, bool freed) =>
        ((delegate*<in ThisCpu, Memcg*, bool, bool>)Guarded<nint>.Get(&memcg->Css.LruFunction))(cpu, memcg, freed);

    private static long UsageOf<TC>(Memcg* memcg) where TC : struct, IMemoryController => TC.Usage(memcg, CounterKind.Memory);

    /// <summary>cgroup_rmdir: refuses while a task or an online child is in it; else the group disappears at once and dies later.</summary>
    public static RemoveResult Remove(in ThisCpu cpu, Memcg* memcg)
    {
        MemcgTree* tree = Memcg.TreeOf(memcg);
        TreeLock.Acquire(cpu, &tree->Lock);
        RemoveResult result = RemoveResult.Removed;
        if (Css.StateOf(&memcg->Css) != CssState.Online) result = RemoveResult.Gone;
        else if (AtomicInt.Load(&memcg->Tasks) != 0 || Guarded<int>.Get(&memcg->Css.OnlineChildren) != 0 || Memcg.IsRoot(memcg)) result = RemoveResult.Busy;
        else
        {
            AtomicInt.Store(&memcg->Css.State, (int)CssState.Dying);
            AtomicLong.Add(&tree->Dying, 1);
        }
        TreeLock.Release(cpu, &tree->Lock);
        if (result != RemoveResult.Removed) return result;
        Css.Get(cpu, &memcg->Css); // put by Offline: the kill drops the directory's own reference
        PerCpuRef.Kill(cpu, &memcg->Css.Ref, &Confirmed);
        return result;
    }

    /// <summary>A grace period after the kill: no tryget_online is in flight any more.</summary>
    private static void Confirmed(in ThisCpu cpu, PerCpuRef* r) => Offline(cpu, (Memcg*)r);

    private static void Offline(in ThisCpu cpu, Memcg* memcg)
    {
        MemcgTree* tree = Memcg.TreeOf(memcg);
        if (Guarded<int>.Get(&memcg->Css.OnlineChildren) is var online && online != 0) Bug.Fail("memcg: offline before its children (I18), online children", online);
        var designs = (delegate*<in ThisCpu, Memcg*, void>)Guarded<nint>.Get(&memcg->Css.OfflineFunction);
        designs(cpu, memcg);
        TreeLock.Acquire(cpu, &tree->Lock);
        AtomicInt.Store(&memcg->Css.State, (int)CssState.Offline);
        Memcg* parent = Memcg.ParentOf(memcg);
        Guarded<int>.Set(&parent->Css.OnlineChildren, Guarded<int>.Get(&parent->Css.OnlineChildren) - 1);
        TreeLock.Release(cpu, &tree->Lock);
        Css.Put(cpu, &memcg->Css); // got by Remove
    }

    /// <summary>The last reference is gone. Readers inside RCU may still look at the group.</summary>
    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        var memcg = (Memcg*)r;
        if (Css.StateOf(&memcg->Css) != CssState.Offline) Bug.Fail("memcg: the last reference is gone before the group is offline, id and state",
            Guarded<int>.Get(&memcg->Id), (long)Css.StateOf(&memcg->Css));
        AtomicInt.Store(&memcg->Css.State, (int)CssState.Released);
        var designs = (delegate*<in ThisCpu, Memcg*, bool>)Guarded<nint>.Get(&memcg->Css.ReleaseFunction);
        if (designs(cpu, memcg)) Retire(cpu, memcg);
    }

    /// <summary>A group whose lists are not yet empty of pages without a charge waits one grace period after the other (B10).</summary>
    internal static void Retire(in ThisCpu cpu, Memcg* memcg) =>
        Rcu.Call(cpu, &memcg->Css.Rcu, EndLists(cpu, memcg, freed: false) ? &Recycle : &RetireAgain);

    private static void RetireAgain(in ThisCpu cpu, RcuHead* head) => Retire(cpu, (Memcg*)((byte*)head - Css.RcuOffset));

    private static void Recycle(in ThisCpu cpu, RcuHead* head)
    {
        var memcg = (Memcg*)((byte*)head - Css.RcuOffset);
        MemcgTree* tree = Memcg.TreeOf(memcg);
        Memcg* parent = Memcg.ParentOf(memcg);
        PerCpuRef.Exit(&memcg->Css.Ref);
        ((delegate*<in ThisCpu, Memcg*, void>)Guarded<nint>.Get(&memcg->Css.FreeFunction))(cpu, memcg);
        EndLists(cpu, memcg, freed: true);
        CloseBooks(tree, memcg);
        TreeLock.Acquire(cpu, &tree->Lock);
        AtomicInt.Store(&memcg->Css.State, (int)CssState.Free);
        IntrusiveList.Remove(&memcg->Sibling);
        IntrusiveList.Add(&tree->Free, &memcg->Sibling);
        TreeLock.Release(cpu, &tree->Lock);
        AtomicLong.Add(&tree->Dying, -1);
        AtomicLong.Add(&tree->Count, -1);
        Css.Put(cpu, &parent->Css); // got by Create
    }

    /// <summary>A dead group's totals go to the tree, so that charged = uncharged + resident holds over all groups there ever were.</summary>
    private static void CloseBooks(MemcgTree* tree, Memcg* memcg)
    {
        var usage = (delegate*<Memcg*, long>)Guarded<nint>.Get(&memcg->Css.UsageFunction);
        if (usage(memcg) is var left && left != 0) AtomicLong.Add(&tree->DeadResidue, left);
        AtomicLong.Add(&tree->DeadCharged, MemcgStat.Read(memcg, MemcgStatItem.PgpgIn));
        AtomicLong.Add(&tree->DeadUncharged, MemcgStat.Read(memcg, MemcgStatItem.PgpgOut));
    }

    /// <summary>cgroup_attach_task: mm's later faults are charged to memcg; what it has already stays charged where it is. False when memcg is going away.</summary>
    public static bool Attach(in ThisCpu cpu, MmStruct* mm, Memcg* memcg)
    {
        MemcgTree* tree = Memcg.TreeOf(memcg);
        TreeLock.Acquire(cpu, &tree->Lock);
        bool online = Css.StateOf(&memcg->Css) == CssState.Online;
        if (online)
        {
            AtomicInt.Add(&memcg->Tasks, 1);
            TreeLock.Acquire(cpu, &tree->CssSetLock); // a task changes its group under it; so did the reparenting of 2019
            Memcg* old = AtomicPtr<Memcg>.Exchange(&mm->Memcg, memcg);
            TreeLock.Release(cpu, &tree->CssSetLock);
            LeaveTasks(old);
        }
        TreeLock.Release(cpu, &tree->Lock);
        return online;
    }

    /// <summary>Exit of the last task: mm belongs to no group any more and must not fault.</summary>
    public static void Detach(in ThisCpu cpu, MmStruct* mm)
    {
        Memcg* memcg = AtomicPtr<Memcg>.Load(&mm->Memcg);
        if (memcg == null) return;
        MemcgTree* tree = Memcg.TreeOf(memcg);
        TreeLock.Acquire(cpu, &tree->Lock);
        TreeLock.Acquire(cpu, &tree->CssSetLock);
        memcg = AtomicPtr<Memcg>.Exchange(&mm->Memcg, null); // may have moved since it was looked at
        TreeLock.Release(cpu, &tree->CssSetLock);
        LeaveTasks(memcg);
        TreeLock.Release(cpu, &tree->Lock);
    }

    private static void LeaveTasks(Memcg* memcg)
    {
        if (memcg != null && AtomicInt.AddReturn(&memcg->Tasks, -1) < 0) Bug.Fail("memcg: more tasks left than came", Guarded<int>.Get(&memcg->Id));
    }

    private static Memcg* OfSibling(ListHead* node) => (Memcg*)((byte*)node - Memcg.SiblingOffset);
}
