// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

[Collection(nameof(OsFaultAlone))] // counts the mappings of the process
public sealed class DryRunTests
{
    [Fact]
    public void A_dry_run_names_thread_cpu_and_node_and_touches_no_machine()
    {
        int before = OsFault.Count(OsCall.Mmap);
        CliBox.Answer plan = CliBox.Run("pack:2 numa:2 core:2 pu:2", CliBox.Split("run fault -C node:3 -t 2 -m remote --dry-run --seed 7"));
        Assert.Equal((0, ""), (plan.Code, plan.Error));
        Assert.Contains("thread   0 -> cpu 12 -> node 3", plan.Out, StringComparison.Ordinal);
        Assert.Contains("memory   remote: node 0: 16384 frames, 64M in 4K pages, mem_map 1M", plan.Out, StringComparison.Ordinal);
        Assert.Equal(before, OsFault.Count(OsCall.Mmap));
    }
}
