// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public class MembarrierProbeTests
{
    [Fact]
    public void The_barrier_of_this_machine_is_not_caught_lying()
    {
        MembarrierVerdict v = MembarrierProbe.Run(TimeSpan.FromMilliseconds(60));
        Assert.True(v.Usable, v.Reason);
        Assert.Equal(0, v.WeakWith);
        Assert.True(v.Rounds > 0);
    }

    [Fact]
    public void One_weak_outcome_across_the_barrier_refuses_it_and_says_what_to_use()
    {
        MembarrierVerdict v = MembarrierProbe.Judge(1000, 5, 1);
        Assert.False(v.Usable);
        Assert.Contains("qsbr takes over", v.Reason, StringComparison.Ordinal);
        Assert.True(MembarrierProbe.Judge(1000, 5, 0).Usable);
        Assert.True(MembarrierProbe.Judge(1000, 0, 0).Usable);
    }
}
