// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>A list that readers walk inside RCU while one updater at a time changes it. Linux: list_add_rcu, list_del_rcu, include/linux/rculist.h.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct RcuList
{
    /// <summary>R: an unlinked node keeps it, so that a reader who stands on it finds the way back.</summary>
    public AtomicPtr<RcuList> Next;
    /// <summary>L: the updaters' lock.</summary>
    public GuardedPtr<RcuList> Prev;

    /// <summary>An empty list.</summary>
    public static void Init(RcuList* head)
    {
        AtomicPtr<RcuList>.Init(&head->Next, head);
        GuardedPtr<RcuList>.Set(&head->Prev, head);
    }

    /// <summary>Links node at the front; node's own fields are visible to whoever finds it.</summary>
    public static void Add(RcuList* head, RcuList* node)
    {
        RcuList* first = AtomicPtr<RcuList>.Load(&head->Next);
        AtomicPtr<RcuList>.Init(&node->Next, first);
        GuardedPtr<RcuList>.Set(&node->Prev, head);
        GuardedPtr<RcuList>.Set(&first->Prev, node);
        AtomicPtr<RcuList>.Store(&head->Next, node); // (A) pairs with (B) in RcuList.cs
    }

    /// <summary>Unlinks node; it must not be linked again, nor freed, before a grace period is over.</summary>
    public static void Remove(RcuList* node)
    {
        RcuList* next = AtomicPtr<RcuList>.Load(&node->Next), prev = GuardedPtr<RcuList>.Get(&node->Prev);
        if (prev == null) Bug.Fail("rculist: node removed twice", (long)node);
        GuardedPtr<RcuList>.Set(&next->Prev, prev);
        AtomicPtr<RcuList>.Store(&prev->Next, next);
        GuardedPtr<RcuList>.Set(&node->Prev, null);
    }

    /// <summary>The next node, or head at the end. Inside RCU, or under the updaters' lock.</summary>
    public static RcuList* NextOf(RcuList* at) => AtomicPtr<RcuList>.Load(&at->Next); // (B) pairs with (A) in RcuList.cs
}
