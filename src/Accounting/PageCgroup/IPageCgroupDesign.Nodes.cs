// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// What only some answers have: a page_cgroup of its own per page, with a list node in it, and objects that come from a slab. The defaults are
// those of an answer without: nothing to do, nothing to find.
public unsafe partial interface IPageCgroupDesign
{
    /// <summary>Bytes of the slab object that a charged page needs; 0 when there is none.</summary>
    static virtual int ObjectBytes => 0;
    /// <summary>Is there a list node per page_cgroup, to be linked instead of the page?</summary>
    static virtual bool HasNode => false;

    /// <summary>Does asking for the owner write to the page? Then whoever asks from outside holds a reference, or a page on its way to the allocator is damaged.</summary>
    static virtual bool OwnerNeedsReference => false;

    /// <summary>Prepares what outlives the answer of a moment on area's CPU: lists of page_cgroups on their way out.</summary>
    static virtual void InitReaper<TLru>(CpuArea* area) where TLru : struct, ILruDesign { }
    /// <summary>Lets go of page_cgroups that wait for a full batch: this CPU's at once, the others' at their next poll; a grace period later they are free.</summary>
    static virtual void Reap<TLru>(in ThisCpu cpu) where TLru : struct, ILruDesign { }

    /// <summary>The owner as a list design asks for it when it puts page on a list: an owner that has stopped paying is forgotten here.</summary>
    static virtual Memcg* OwnerAtAdd<TSelf>(in ThisCpu cpu, Page* page) where TSelf : struct, IPageCgroupDesign => TSelf.OwnerOf(cpu, page, out _);

    /// <summary>Makes sure that page's live page_cgroup stays one until <see cref="Leave"/>, without waiting: its node, or null.</summary>
    static virtual ListHead* TryEnter(in ThisCpu cpu, Page* page) => null;
    /// <summary>Ends what a successful <see cref="TryEnter"/> began.</summary>
    static virtual void Leave(in ThisCpu cpu, Page* page) { }
    /// <summary>Under the lock of the list that node is on: is it still the page_cgroup that pays for its page?</summary>
    static virtual bool IsLive(ListHead* node) => true;
    /// <summary>The node of page's page_cgroup, used or not; only where a page always has one.</summary>
    static virtual ListHead* NodeOf(in ThisCpu cpu, Page* page) => null;
    /// <summary>The page of a node's page_cgroup.</summary>
    static virtual Page* PageOfNode(ListHead* node) => null;
    /// <summary>The group of a node's page_cgroup.</summary>
    static virtual Memcg* OwnerOfNode(ListHead* node) => null;
    /// <summary>Which of its group's lists the node is on; under that list's lock.</summary>
    static virtual LruList ListOfNode(ListHead* node) => default;
    /// <summary>Says which list the node is on; under that list's lock.</summary>
    static virtual void SetListOfNode(ListHead* node, LruList list) { }

    /// <summary>Adds a line for each thing about page's page_cgroup that is not as it should be at quiescence (A-I6).</summary>
    static virtual void CheckPage(in ThisCpu cpu, Page* page, ICollection<string> wrong) { }
}
