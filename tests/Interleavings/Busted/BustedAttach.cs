// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Looks whether the group is online, and takes the lock afterwards: it may be removed in between.</summary>
internal readonly unsafe struct AttachesWithoutLook : ILifeScript
{
    public static bool Act(in ThisCpu cpu, Memcg* group, MmStruct* mm)
    {
        if (Css.StateOf(&group->Css) != CssState.Online) return false;
        MemcgTree* tree = Memcg.TreeOf(group);
        TestAndSetLock.Acquire(cpu, &tree->Lock);
        AtomicInt.Add(&group->Tasks, 1);
        AtomicPtr<Memcg>.Store(&mm->Memcg, group);
        TestAndSetLock.Release(cpu, &tree->Lock);
        return true;
    }
}
