// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Where a group is in its life (spec 3.6). The directory exists in Online only.</summary>
public enum CssState
{
    /// <summary>Not a group.</summary>
    Free,
    /// <summary>Tasks may be in it.</summary>
    Online,
    /// <summary>Killed: tryget_online fails; grace period before the offline callbacks.</summary>
    Dying,
    /// <summary>Offline callbacks have run; references keep it: a zombie.</summary>
    Offline,
    /// <summary>Last reference gone; memory waits for a grace period.</summary>
    Released,
}

/// <summary>
/// The reference-counted state of a group. Linux: struct cgroup_subsys_state. Four stages: kill, confirmed after a grace period,
/// offline callbacks (children before parents), released at the last reference and freed after another grace period.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Css
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 320;

    /// <summary>Offset of <see cref="Rcu"/>, for container_of.</summary>
    public const int RcuOffset = 208;

    /// <summary>References: 1 of the directory, and what each design ties to it. Read-mostly while in per-CPU mode.</summary>
    [FieldOffset(0)] public PerCpuRef Ref;

    /// <summary>A: <see cref="CssState"/>; written under the tree's lock up to Offline, then by the releaser.</summary>
    [FieldOffset(192)] public AtomicInt State;
    /// <summary>L: under the tree's lock: children that are not yet offline.</summary>
    [FieldOffset(196)] public Guarded<int> OnlineChildren;
    /// <summary>I: delegate*&lt;in ThisCpu, Memcg*, void&gt; that runs the designs' offline callbacks.</summary>
    [FieldOffset(200)] public Guarded<nint> OfflineFunction;
    /// <summary>I: delegate*&lt;Memcg*, long&gt; that reads the group's usage when it is released.</summary>
    [FieldOffset(224)] public Guarded<nint> UsageFunction;
    /// <summary>I: delegate*&lt;in ThisCpu, Memcg*, bool, bool&gt;: the Lru axis at the last reference (false), and a grace period later (true).</summary>
    [FieldOffset(232)] public Guarded<nint> LruFunction;
    /// <summary>I: delegate*&lt;in ThisCpu, Memcg*, void&gt; that runs the designs' css_free callbacks.</summary>
    [FieldOffset(240)] public Guarded<nint> FreeFunction;
    /// <summary>I: delegate*&lt;in ThisCpu, Memcg*, bool&gt; that asks the Residents axis at the last reference.</summary>
    [FieldOffset(248)] public Guarded<nint> ReleaseFunction;
    /// <summary>Deferred free of the group.</summary>
    [FieldOffset(RcuOffset)] public RcuHead Rcu;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>One reference, in per-CPU mode; each CPU's share lies in the group's statistics of that CPU.</summary>
    internal static void InitRef(MemcgTree* tree, Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release) =>
        PerCpuRef.Init(&memcg->Css.Ref, &MemcgTree.Stat(tree, memcg, 0)->CssRef, release, Guarded<nint>.Get(&tree->StatStride));

    /// <summary>css_get: the caller has a reference. Put by <see cref="Put"/>.</summary>
    [MethodImpl(Inline)]
    public static void Get(in ThisCpu cpu, Css* css) => PerCpuRef.Get(cpu, &css->Ref);

    /// <summary>css_get_many. Put by <see cref="PutMany"/>.</summary>
    [MethodImpl(Inline)]
    public static void GetMany(in ThisCpu cpu, Css* css, long n) => PerCpuRef.GetMany(cpu, &css->Ref, n);

    /// <summary>css_tryget: fails only when no reference is left. Call inside RCU. Put by <see cref="Put"/>.</summary>
    [MethodImpl(Inline)]
    public static bool TryGet(in ThisCpu cpu, Css* css) => PerCpuRef.TryGet(cpu, &css->Ref);

    /// <summary>css_tryget_online: fails also after the kill. Call inside RCU. Put by <see cref="Put"/>.</summary>
    [MethodImpl(Inline)]
    public static bool TryGetOnline(in ThisCpu cpu, Css* css) => PerCpuRef.TryGetLiveRcu(cpu, &css->Ref);

    /// <summary>css_put: the css must not be touched afterwards.</summary>
    [MethodImpl(Inline)]
    public static void Put(in ThisCpu cpu, Css* css) => PerCpuRef.Put(cpu, &css->Ref);

    /// <summary>css_put_many.</summary>
    [MethodImpl(Inline)]
    public static void PutMany(in ThisCpu cpu, Css* css, long n) => PerCpuRef.PutMany(cpu, &css->Ref, n);

    /// <summary>Where the group is in its life; stale at once.</summary>
    public static CssState StateOf(Css* css) => (CssState)AtomicInt.Load(&css->State);
}
