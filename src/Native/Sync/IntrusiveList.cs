// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>A node or head of a circular doubly linked list, 16 bytes. Linux: struct list_head, include/linux/list.h.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct ListHead
{
    /// <summary>L: under the lock of the list it is on; by exclusivity when on none.</summary>
    public GuardedPtr<ListHead> Next;
    /// <summary>L: as <see cref="Next"/>.</summary>
    public GuardedPtr<ListHead> Prev;
}

/// <summary>The verbs of list_head. The caller holds the list's lock, or owns all nodes.</summary>
/// <remarks>A removed node is poisoned, as Linux does, so that a second removal fails at once instead of corrupting a neighbour.</remarks>
public static unsafe class IntrusiveList
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>LIST_POISON1/2: what a node holds while it is on no list. Not a valid address.</summary>
    public static ListHead* Poison => (ListHead*)0x100;

    /// <summary>Makes head an empty list (or node a list of itself).</summary>
    [MethodImpl(Inline)]
    public static void Init(ListHead* head)
    {
        GuardedPtr<ListHead>.Set(&head->Next, head);
        GuardedPtr<ListHead>.Set(&head->Prev, head);
    }

    /// <summary>True when nothing is linked.</summary>
    [MethodImpl(Inline)]
    public static bool IsEmpty(ListHead* head) => GuardedPtr<ListHead>.Get(&head->Next) == head;

    /// <summary>First node, or head itself when empty.</summary>
    [MethodImpl(Inline)]
    public static ListHead* First(ListHead* head) => GuardedPtr<ListHead>.Get(&head->Next);

    /// <summary>Last node, or head itself when empty.</summary>
    [MethodImpl(Inline)]
    public static ListHead* Last(ListHead* head) => GuardedPtr<ListHead>.Get(&head->Prev);

    /// <summary>The node after node.</summary>
    [MethodImpl(Inline)]
    public static ListHead* NextOf(ListHead* node) => GuardedPtr<ListHead>.Get(&node->Next);

    /// <summary>The node before node.</summary>
    [MethodImpl(Inline)]
    public static ListHead* PrevOf(ListHead* node) => GuardedPtr<ListHead>.Get(&node->Prev);

    /// <summary>Links node at the front.</summary>
    [MethodImpl(Inline)]
    public static void Add(ListHead* head, ListHead* node) => Insert(node, head, GuardedPtr<ListHead>.Get(&head->Next));

    /// <summary>Links node at the back.</summary>
    [MethodImpl(Inline)]
    public static void AddTail(ListHead* head, ListHead* node) => Insert(node, GuardedPtr<ListHead>.Get(&head->Prev), head);

    /// <summary>Unlinks node and poisons it.</summary>
    [MethodImpl(Inline)]
    public static void Remove(ListHead* node)
    {
        Unlink(node);
        GuardedPtr<ListHead>.Set(&node->Next, Poison);
        GuardedPtr<ListHead>.Set(&node->Prev, Poison);
    }

    /// <summary>Unlinks node and links it at the front of head.</summary>
    [MethodImpl(Inline)]
    public static void Move(ListHead* head, ListHead* node)
    {
        Unlink(node);
        Add(head, node);
    }

    /// <summary>Unlinks node and links it at the back of head.</summary>
    [MethodImpl(Inline)]
    public static void MoveTail(ListHead* head, ListHead* node)
    {
        Unlink(node);
        AddTail(head, node);
    }

    /// <summary>Unlinks node and puts it in front of a chain, which is linked by Next alone and has no head in memory; returns the chain (null is the empty one).</summary>
    [MethodImpl(Inline)]
    public static ListHead* Chain(ListHead* chain, ListHead* node)
    {
        Unlink(node);
        GuardedPtr<ListHead>.Set(&node->Next, chain);
        return node;
    }

    /// <summary>Moves all of from to the front of head, in constant time; from is empty afterwards.</summary>
    public static void Splice(ListHead* head, ListHead* from)
    {
        if (IsEmpty(from)) return;
        ListHead* first = First(from), last = Last(from), next = First(head);
        Join(head, first);
        Join(last, next);
        Init(from);
    }

    /// <summary>Moves all of from to the back of head, in constant time; from is empty afterwards.</summary>
    public static void SpliceTail(ListHead* head, ListHead* from)
    {
        if (IsEmpty(from)) return;
        ListHead* first = First(from), last = Last(from), prev = Last(head);
        Join(prev, first);
        Join(last, head);
        Init(from);
    }

    /// <summary>Walks the list and counts its nodes, checking that every pair of links agrees.</summary>
    public static long Walk(ListHead* head)
    {
        long count = 0;
        for (ListHead* at = head; ;)
        {
            ListHead* next = NextOf(at);
            if (PrevOf(next) != at) Bug.Fail("list: next->prev != node", (long)at, (long)next);
            if (next == head) return count;
            count++;
            at = next;
        }
    }

    [MethodImpl(Inline)]
    private static void Insert(ListHead* node, ListHead* prev, ListHead* next)
    {
        GuardedPtr<ListHead>.Set(&next->Prev, node);
        GuardedPtr<ListHead>.Set(&node->Next, next);
        GuardedPtr<ListHead>.Set(&node->Prev, prev);
        GuardedPtr<ListHead>.Set(&prev->Next, node);
    }

    [MethodImpl(Inline)]
    private static void Unlink(ListHead* node)
    {
        ListHead* next = GuardedPtr<ListHead>.Get(&node->Next), prev = GuardedPtr<ListHead>.Get(&node->Prev);
        if (next == Poison) Bug.Fail("list: node removed twice", (long)node);
        Join(prev, next);
    }

    [MethodImpl(Inline)]
    private static void Join(ListHead* prev, ListHead* next)
    {
        GuardedPtr<ListHead>.Set(&next->Prev, prev);
        GuardedPtr<ListHead>.Set(&prev->Next, next);
    }
}
