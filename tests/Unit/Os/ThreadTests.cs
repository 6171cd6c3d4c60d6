// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using MemcgNative.Native.Win32;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class ThreadTests
{
    [Fact]
    public void A_pinned_thread_runs_on_its_CPU_and_gets_its_old_set_back() => InThread(() =>
    {
        IReadOnlyList<CpuId> all = ThreadAffinity.Allowed();
        foreach (CpuId cpu in all)
        {
            IReadOnlyList<CpuId> before = ThreadAffinity.Pin(cpu);
            Assert.Equal(cpu, ThreadAffinity.Current());
            Assert.Equal([cpu], ThreadAffinity.Allowed());
            ThreadAffinity.Allow(before);
        }
        Assert.Equal(all, ThreadAffinity.Allowed());
    });

    [Fact]
    public void A_CPU_that_does_not_exist_is_named() => InThread(() =>
    {
        var e = Assert.Throws<OsException>(() => ThreadAffinity.Pin(new CpuId(4242)));
        Assert.Equal(Errno.EINVAL, e.ErrorNumber);
        Assert.StartsWith("--cpus: CPU 4242 does not exist here (online: ", e.Message, StringComparison.Ordinal);
    });

    [Fact]
    public void A_CPU_outside_of_the_cpuset_is_told_from_one_that_is_not_there()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/cpu/online", "0-7\n");
        root.Write("proc/self/status", "Cpus_allowed_list:\t0-3\n");
        Assert.Equal("--cpus: CPU 6 is online but outside this process's cpuset (allowed: 0-3); a container or Slurm set that",
            ThreadAffinity.Refused([new CpuId(6)], Errno.EINVAL, root.Path).Message);
        Assert.Equal("--cpus: CPU 9 does not exist here (online: 0-7). Topology: memcgnative topology",
            ThreadAffinity.Refused([new CpuId(9)], Errno.EINVAL, root.Path).Message);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(63, 1)]
    [InlineData(64, 2)]
    [InlineData(1023, 16)]
    [InlineData(1024, 17)]
    [InlineData(5000, 79)]
    public void A_mask_is_as_long_as_the_highest_CPU_needs(int cpu, int words)
    {
        ulong[] mask = ThreadAffinity.ToMask([new CpuId(0), new CpuId(cpu)]);
        Assert.Equal(words, mask.Length);
        Assert.Equal(new CpuId(cpu), ThreadAffinity.FromMask(mask)[^1]);
    }

    [Fact]
    public void A_Windows_CPU_number_is_group_times_64_plus_number()
    {
        GROUP_AFFINITY g = ThreadAffinity.ToGroup([new CpuId(130), new CpuId(133)]);
        Assert.Equal(2, g.Group);
        Assert.Equal(0b100100u, g.Mask);
        Assert.Throws<OsException>(() => ThreadAffinity.ToGroup([new CpuId(1), new CpuId(64)]));
    }

    [Fact]
    public void Giving_the_CPU_away_counts_as_a_voluntary_switch() => InThread(() =>
    {
        ThreadUsage before = ThreadUsage.Now();
        Thread.Sleep(1);
        ThreadUsage change = ThreadUsage.Now() - before;
        Assert.True(change.VoluntarySwitches >= 1, change.ToString());
        Assert.True(change.InvoluntarySwitches >= 0 && change.MinorFaults >= 0, change.ToString());
    });

    [Fact]
    public void Moving_between_CPUs_counts_as_a_migration() => InThread(() =>
    {
        IReadOnlyList<CpuId> cpus = ThreadAffinity.Allowed();
        if (cpus.Count < 2) Assert.Skip("one CPU only");
        if (ThreadUsage.Now().Migrations is null) Assert.Skip(ThreadUsage.NoMigrations);
        ThreadAffinity.Pin(cpus[0]);
        ThreadUsage before = ThreadUsage.Now();
        ThreadAffinity.Allow([cpus[1]]);
        ThreadAffinity.Allow([cpus[0]]);
        Assert.Equal(2, (ThreadUsage.Now() - before).Migrations);
    });

    [Fact]
    public void Migrations_are_unknown_rather_than_zero_where_the_kernel_does_not_tell()
    {
        Assert.Null(ThreadUsage.MigrationsOf(null));
        Assert.Null(ThreadUsage.MigrationsOf("se.vruntime : 1\n"));
        Assert.Equal(7, ThreadUsage.MigrationsOf("x (1, #threads: 1)\n---\nse.nr_migrations       :       7\n"));
    }

    /// <summary>Threads of the pool must not keep an affinity: each test pins a thread of its own.</summary>
    private static void InThread(Action body)
    {
        Exception? failed = null;
        var thread = new Thread(() =>
        {
            try { body(); }
            catch (Exception e) { failed = e; }
        });
        thread.Start();
        thread.Join();
        if (failed is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed);
    }
}
