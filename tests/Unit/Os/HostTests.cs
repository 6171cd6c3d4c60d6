// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class HostTests
{
    [Fact]
    public void Every_setting_of_this_host_has_a_value_or_a_reason()
    {
        foreach ((string name, Setting s) in HostSettings.Read().All)
            Assert.True(s.Value is null != (s.Reason is null), $"{name}: {s}");
    }

    [Fact]
    public void A_recorded_host_is_read_file_by_file()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
        root.Write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n");
        root.Write("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
        root.Write("sys/devices/system/cpu/isolated", "\n");
        root.Write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
        root.Write("proc/sys/kernel/numa_balancing", "2\n");
        root.Write("proc/pressure/cpu", "some avg10=57.12 avg60=3.30 avg300=2.82 total=28837776\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        root.Write("proc/stat", "cpu  4314 7906 4908 321375 1486 0 56 21 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        root.Write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme hypervisor lahf_lm\n");
        root.Write("sys/class/dmi/id/sys_vendor", "QEMU\n");
        root.Write("proc/self/cgroup", "0::/user.slice\n");
        root.Write("proc/self/status", "Cpus_allowed_list:\t0-1\nMems_allowed_list:\t0,2-3\n");
        HostSettings host = HostSettings.Read(root.Path);

        Assert.Equal("performance,powersave", host.Governor.Value);
        Assert.Equal("off", host.Turbo.Value);
        Assert.Equal("", host.IsolatedCpus.Value);
        Assert.Equal("madvise", host.Thp.Value);
        Assert.Equal("2", host.NumaBalancing.Value);
        Assert.Equal("57.12", host.CpuPressureSomeAvg10.Value);
        Assert.Equal("28837776", host.CpuPressureSomeTotal.Value);
        Assert.Equal("21", host.StealTicks.Value);
        Assert.Equal("virtual machine (QEMU)", host.Virtualization.Value);
        Assert.Equal("v2", host.Cgroup.Value);
        Assert.Equal("0,2-3", host.CpusetMems.Value);
        Assert.Null(host.Aslr.Value);
        Assert.EndsWith("proc/sys/kernel/randomize_va_space does not exist", host.Aslr.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("9:memory:/\n1:name=systemd:/\n", "v1")]
    [InlineData("9:memory:/\n0::/\n", "hybrid")]
    [InlineData("1:name=systemd:/\n0::/\n", "v2")]
    public void The_cgroup_version_is_told_by_the_process_own_line(string text, string version)
    {
        using var root = new FakeRoot();
        root.Write("proc/self/cgroup", text);
        Assert.Equal(version, HostSettings.Read(root.Path).Cgroup.Value);
    }

    [Fact]
    public void A_pool_short_by_one_on_one_of_two_nodes_is_refused_by_that_node()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/node/has_memory", "0,4\n");
        foreach ((int node, int total, int free) in new[] { (0, 1024, 1024), (4, 1024, 511) })
        {
            root.Write($"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages", $"{total}\n");
            root.Write($"sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/free_hugepages", $"{free}\n");
        }
        NodeId[] both = [new(0), new(4)];
        Assert.Equal(2, HugePages.Pools(PageKind.Huge2M, root.Path).Count);
        Assert.Null(HugePages.Shortage(PageKind.Huge2M, 1022 * (2u << 20), both, root.Path));
        OsException e = HugePages.Shortage(PageKind.Huge2M, 1024 * (2u << 20), both, root.Path)!;
        Assert.Equal("--pages 2M: 512 pages needed on node 4, 511 free. As root: echo 1025 > /sys/devices/system/node/node4/hugepages/hugepages-2048kB/nr_hugepages"
            + " or let the kernel try: --pages thp, or say --pages 2M,4K to accept less", e.Message);
    }

    [Theory]
    [InlineData("6.18.44-fc-v657", 6, 18)]
    [InlineData("5.14.0+", 5, 14)]
    [InlineData("5.10-rc1", 5, 10)]
    [InlineData("Darwin", 0, 0)]
    public void The_kernel_release_gives_major_and_minor(string release, int major, int minor) =>
        Assert.Equal((major, minor), SystemFacts.ParseVersion(release));

    [Fact]
    public void Steal_is_a_share_of_all_CPUs_time() => Assert.Equal(5.0, HostSettings.StealPercent(100, 120, 2, 2));

    [Theory]
    [InlineData(12, "ENOMEM")]
    [InlineData(133, "EHWPOISON")]
    [InlineData(4095, "error 4095")]
    public void An_errno_has_its_name(int errno, string name) => Assert.Equal(name, Errno.Name(errno));

    [Fact]
    public void Smaps_is_counted_per_kind_and_only_inside_the_region()
    {
        const string smaps = """
            1000000-1400000 rw-p 00000000 00:00 0
            KernelPageSize:        4 kB
            AnonHugePages:      2048 kB
            1400000-1600000 rw-p 00000000 00:0f 1234 /anon_hugepage (deleted)
            KernelPageSize:     2048 kB
            AnonHugePages:         0 kB
            9000000-9400000 rw-p 00000000 00:00 0
            KernelPageSize:        4 kB
            AnonHugePages:      4096 kB
            ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
            KernelPageSize:        4 kB
            AnonHugePages:         0 kB
            """;
        // Half of the first VMA: at least its 4 MiB less 2 MiB outside less 2 MiB of THP, or 2 MiB of THP less 2 MiB outside.
        Assert.Equal(0, Placement.BytesOfKind(smaps.Split('\n'), 0x1000000, 0x200000, PageKind.Thp));
        Assert.Equal(0, Placement.BytesOfKind(smaps.Split('\n'), 0x1000000, 0x200000, PageKind.NoThp));
        Assert.Equal(1 << 20, Placement.BytesOfKind(smaps.Split('\n'), 0x1000000, 0x300000, PageKind.Thp));
        Assert.Equal(1 << 20, Placement.BytesOfKind(smaps.Split('\n'), 0x1400000, 0x100000, PageKind.Huge2M));
        long Count(PageKind k) => Placement.BytesOfKind(smaps.Split('\n'), 0x1000000, 0x600000, k);
        Assert.Equal(2 << 20, Count(PageKind.Thp));
        Assert.Equal(2 << 20, Count(PageKind.NoThp));
        Assert.Equal(2 << 20, Count(PageKind.Huge2M));
        Assert.Equal(0, Count(PageKind.Huge1G));
    }
}
