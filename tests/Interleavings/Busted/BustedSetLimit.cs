// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// page_counter_limit, wrong in one way each (S3).

/// <summary>Does not look whether a charge came in under the old limit.</summary>
internal readonly unsafe struct SetWithoutLookingAgain : ISetLimit
{
    public static bool TrySet(void* c, long pages)
    {
        if (AtomicLong.Load(PageCounter40.Usage(c)) > pages) return false;
        AtomicLong.Exchange(PageCounter40.Limit(c), pages);
        return true;
    }
}

/// <summary>Stores the limit where Linux exchanges it: the second look may pass the store.</summary>
internal readonly unsafe struct SetByStore : ISetLimit
{
    public static bool TrySet(void* c, long pages)
    {
        while (true)
        {
            long before = AtomicLong.Load(PageCounter40.Usage(c));
            if (before > pages) return false;
            long old = AtomicLong.Load(PageCounter40.Limit(c));
            AtomicLong.Store(PageCounter40.Limit(c), pages);
            if (AtomicLong.Load(PageCounter40.Usage(c)) <= before || pages >= old) return true;
            AtomicLong.Store(PageCounter40.Limit(c), old);
        }
    }
}

/// <summary>S1: adds back what it should not have taken, as was proposed for page_counter.</summary>
internal readonly unsafe struct RepairsItself : ICancel
{
    public static void Cancel(void* counter, long pages)
    {
        if (AtomicLong.AddReturn(PageCounter40.Usage(counter), -pages) < 0) AtomicLong.Add(PageCounter40.Usage(counter), pages);
    }
}
