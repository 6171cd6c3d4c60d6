// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What a group has on one node since 7.1, in its kmem slot there. Linux: mem_cgroup_per_node.objcg, objcg_list.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public unsafe struct NodeObjcg
{
    /// <summary>R: under objcg_lock: what new pages and objects of this node point to; null = offline: ask the parent (E1).</summary>
    [FieldOffset(0)] public AtomicPtr<Objcg> Active;
    /// <summary>L: objcg_lock: inherited objcgs of removed children.</summary>
    [FieldOffset(8)] public ListHead Owned;
    /// <summary>The root's own, in place: the root is never removed, and exists before there is anything to allocate from.</summary>
    [FieldOffset(128)] public Objcg Root;

    /// <summary>A group's on one node.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NodeObjcg* Of(Memcg* memcg, int node) => (NodeObjcg*)((byte*)Memcg.OnNode(memcg, node) + MemcgNode.KmemSlot);

    /// <summary>No objcg yet; the root's is there at once.</summary>
    public static void Init(MemcgNode* memcgNode)
    {
        var own = (NodeObjcg*)((byte*)memcgNode + MemcgNode.KmemSlot);
        Memcg* memcg = GuardedPtr<Memcg>.Get(&memcgNode->Memcg);
        IntrusiveList.Init(&own->Owned);
        AtomicPtr<Objcg>.Init(&own->Active, null);
        if (!Memcg.IsRoot(memcg)) return;
        Objcg.InitRoot(&own->Root, memcg);
        AtomicPtr<Objcg>.Init(&own->Active, &own->Root);
    }
}
