// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class IntrusiveListTests
{
    private static int[] Order(ListHead* head, ListHead* nodes)
    {
        List<int> order = [];
        for (ListHead* n = IntrusiveList.First(head); n != head; n = IntrusiveList.NextOf(n)) order.Add((int)(n - nodes));
        Assert.Equal(order.Count, IntrusiveList.Walk(head));
        return [.. order];
    }

    [Fact]
    public void Add_links_at_the_front_and_AddTail_at_the_back()
    {
        ListHead* n = stackalloc ListHead[4];
        ListHead head;
        IntrusiveList.Init(&head);
        Assert.True(IntrusiveList.IsEmpty(&head));
        IntrusiveList.AddTail(&head, n);
        IntrusiveList.AddTail(&head, n + 1);
        IntrusiveList.Add(&head, n + 2);
        Assert.Equal([2, 0, 1], Order(&head, n));
        IntrusiveList.Move(&head, n + 1);
        IntrusiveList.MoveTail(&head, n + 2);
        Assert.Equal([1, 0, 2], Order(&head, n));
        Assert.True(IntrusiveList.Last(&head) == n + 2 && IntrusiveList.PrevOf(n + 2) == n);
    }

    [Fact]
    public void Splice_moves_all_of_a_list_to_either_end_and_leaves_it_empty()
    {
        ListHead* n = stackalloc ListHead[6];
        ListHead a, b;
        IntrusiveList.Init(&a);
        IntrusiveList.Init(&b);
        for (int i = 0; i < 2; i++) IntrusiveList.AddTail(&a, n + i);
        for (int i = 2; i < 4; i++) IntrusiveList.AddTail(&b, n + i);
        IntrusiveList.Splice(&a, &b);
        Assert.Equal([2, 3, 0, 1], Order(&a, n));
        Assert.True(IntrusiveList.IsEmpty(&b));
        for (int i = 4; i < 6; i++) IntrusiveList.AddTail(&b, n + i);
        IntrusiveList.SpliceTail(&a, &b);
        Assert.Equal([2, 3, 0, 1, 4, 5], Order(&a, n));
        IntrusiveList.SpliceTail(&a, &b); // empty: nothing happens
        Assert.Equal(6, IntrusiveList.Walk(&a));
    }

    [Fact]
    public void Nodes_leave_their_list_for_a_chain_without_a_head_the_last_one_first()
    {
        ListHead* n = stackalloc ListHead[3];
        ListHead head;
        IntrusiveList.Init(&head);
        for (int i = 0; i < 3; i++) IntrusiveList.AddTail(&head, n + i);
        ListHead* chain = IntrusiveList.Chain(null, n);
        chain = IntrusiveList.Chain(chain, n + 2);
        Assert.Equal([1], Order(&head, n));
        Assert.True(chain == n + 2 && IntrusiveList.NextOf(chain) == n && IntrusiveList.NextOf(n) == null);
    }

    [Fact]
    public void A_node_removed_twice_and_links_that_disagree_are_bugs()
    {
        ListHead* n = stackalloc ListHead[2];
        ListHead head;
        IntrusiveList.Init(&head);
        IntrusiveList.AddTail(&head, n);
        IntrusiveList.AddTail(&head, n + 1);
        IntrusiveList.Remove(n);
        Assert.True(IntrusiveList.NextOf(n) == IntrusiveList.Poison && IntrusiveList.PrevOf(n) == IntrusiveList.Poison);
        Assert.Throws<BugException>(() => IntrusiveList.Remove(n));
        GuardedPtr<ListHead>.Set(&n[1].Prev, n);
        ListHead* h = &head;
        Assert.Throws<BugException>(() => IntrusiveList.Walk(h));
    }
}
