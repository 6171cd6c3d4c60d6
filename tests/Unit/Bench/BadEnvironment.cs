// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The arguments are right and the machine refuses: injected faults, full disks, directories nobody may write, streams that end.</summary>
[Collection(nameof(OsFaultAlone))]
public sealed class BadEnvironment : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("memcgnative").FullName;

    public void Dispose()
    {
        OsFault.Disarm();
        Directory.Delete(directory, recursive: true);
    }

    private static void OnOneNode()
    {
        if (!OperatingSystem.IsLinux() || HugePages.MemoryNodes() is not [{ Value: 0 }]) Assert.Skip("written for Linux with one memory node, 0");
    }

    [Theory]
    [InlineData("placement --footprint 4M", "mmap:1:ENOMEM", 3, "cannot map 4 MiB: no address space or memory left (mmap: ENOMEM). Look at ulimit -v and "
        + "vm.overcommit_memory, or ask for less")]
    [InlineData("placement --footprint 4M -m bind:0", "mbind:1:EPERM", 3,
        "--mem bind:0: a seccomp filter of this container forbids mbind (mbind: EPERM). Start it with --cap-add SYS_NICE")]
    [InlineData("placement --footprint 4M", "madvise:2:ENOMEM", 3, "cannot commit 4 MiB: no memory left on the nodes asked for (madvise: ENOMEM). Ask for less memory")]
    [InlineData("placement --footprint 4M", "move_pages:1:EINVAL", 3, "cannot ask where the pages of a region are (move_pages: EINVAL)")]
    [InlineData("run fault -q -d 2ms -r 1", "mmap:1:ENOMEM", 3, "cannot map 4 KiB: no address space or memory left (mmap: ENOMEM). Look at ulimit -v and "
        + "vm.overcommit_memory, or ask for less")]
    [InlineData("run fault -q -d 2ms -r 1 -m bind:0", "mbind:1:EPERM", 3,
        "--mem bind:0: a seccomp filter of this container forbids mbind (mbind: EPERM). Start it with --cap-add SYS_NICE")]
    [InlineData("run fault -q -d 2ms -r 1 -C 0", "sched_setaffinity:1:EPERM", 3, "--cpus: cannot pin to CPU 0 (sched_setaffinity: EPERM). A container's seccomp filter forbids it")]
    [InlineData("run fault -q -d 2ms -r 1", "move_pages:1:EINVAL", 3, "cannot ask where the pages of a region are (move_pages: EINVAL)")]
    public void A_refusing_system_gets_one_line(string line, string fault, int code, string message)
    {
        OnOneNode();
        OsFault.Arm(fault);
        CliBox.Answer answer = CliBox.Run(CliBox.Split(line));
        Assert.Equal("memcgnative: " + message + Environment.NewLine, answer.Error);
        Assert.Equal(code, answer.Code);
        Assert.Empty(answer.Out);
    }

    [Fact]
    public void Huge_pages_that_are_not_in_the_pool_are_refused_with_the_command_that_brings_them()
    {
        OnOneNode();
        if (HugePages.Pools(PageKind.Huge1G).Any(p => p.FreePages > 0)) Assert.Skip("there are 1G pages here");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run fault -q -p 1G --footprint 1G"));
        Assert.Equal(3, answer.Code);
        Assert.StartsWith("memcgnative: --pages 1G: ", answer.Error, StringComparison.Ordinal);
        Assert.Single(answer.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_full_disk_is_found_before_anything_is_measured()
    {
        if (!File.Exists("/dev/full")) Assert.Skip("needs /dev/full");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run fault -q -o /dev/full"));
        Assert.Equal((3, "memcgnative: --out: cannot write '/dev/full': no space left on the device" + Environment.NewLine, ""), (answer.Code, answer.Error, answer.Out));
    }

    [Fact]
    public void A_directory_that_does_not_take_files_is_found_before_anything_is_measured()
    {
        if (!Directory.Exists("/proc/self")) Assert.Skip("needs /proc, where nobody makes files");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run fault -q -o /proc/self/r"));
        Assert.Equal(3, answer.Code);
        Assert.StartsWith("memcgnative: --out: cannot write '/proc/self/r.json': ", answer.Error, StringComparison.Ordinal);
        Assert.Single(answer.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_file_stays_whole_when_the_new_one_cannot_be_written_and_no_temporary_is_left()
    {
        string path = Path.Combine(directory, "old.json");
        File.WriteAllText(path, "old");
        ResultFile file = ResultFile.Open(path);
        Directory.Delete(directory, recursive: true);
        var e = Assert.Throws<OutputException>(() => file.Write("new"));
        Assert.Equal(1, e.ExitCode);
        Directory.CreateDirectory(directory);
        file.Write("new");
        Assert.Equal([path], Directory.GetFiles(directory));
        Assert.Equal("new", File.ReadAllText(path));
    }

    [Fact]
    public void A_name_gets_json_added_unless_it_is_there()
    {
        Assert.Equal(Path.Combine(directory, "a.json"), ResultFile.Open(Path.Combine(directory, "a")).Path);
        Assert.Equal(Path.Combine(directory, "a.json"), ResultFile.Open(Path.Combine(directory, "a.json")).Path);
        Assert.Empty(Directory.GetFiles(directory));
    }

    [Fact]
    public void A_stdout_that_cannot_be_written_is_a_failure()
    {
        using var error = new StringWriter();
        int code = Cli.Run(["list", "eras"], new FullWriter(), error, new CliEnvironment());
        Assert.Equal((1, "memcgnative: stdout: cannot write: No space left on device" + Environment.NewLine), (code, error.ToString()));
    }

    [Fact]
    public void Stopped_before_the_end_the_result_says_interrupted_and_the_code_is_the_signals()
    {
        OnOneNode();
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        CliBox.Answer answer = CliBox.Run("", CliBox.Split("run alloc-free -q -d 2ms -r 2 -t 1 --format json"),
            new CliEnvironment { Stop = stop.Token, StopCode = () => ExitCode.Terminated });
        Assert.Equal(143, answer.Code);
        Assert.Contains("\"status\": \"interrupted\"", answer.Out, StringComparison.Ordinal);
        Assert.Contains("\"balanced\": true", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_placement_that_is_stopped_ends_with_the_signals_code_and_no_result()
    {
        OnOneNode();
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        CliBox.Answer answer = CliBox.Run("", CliBox.Split("placement --footprint 4M"), new CliEnvironment { Stop = stop.Token });
        Assert.Equal((130, "", "memcgnative: stopped before there was a result" + Environment.NewLine), (answer.Code, answer.Out, answer.Error));
    }

    [Fact]
    public void A_run_stopped_in_its_first_repetition_has_the_rounds_until_then_as_its_sample()
    {
        OnOneNode();
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        CliBox.Answer answer = CliBox.Run("", CliBox.Split("run alloc-free -d 1m -r 2 -w 5ms -t 1 --format json"), new CliEnvironment { Stop = stop.Token });
        Assert.Equal(130, answer.Code);
        using var json = System.Text.Json.JsonDocument.Parse(answer.Out);
        System.Text.Json.JsonElement throughput = json.RootElement.GetProperty("points")[0].GetProperty("throughput_ops_per_s");
        Assert.Equal((1, "stopped within the first repetition"), (throughput.GetProperty("samples").GetArrayLength(), throughput.GetProperty("reason").GetString()));
        Assert.DoesNotContain("[1/2]", answer.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_lost_at_the_end_leaves_the_result_on_stdout_and_fails()
    {
        OnOneNode();
        string place = Directory.CreateDirectory(Path.Combine(directory, "gone")).FullName;
        using Timer timer = new(_ => Directory.Delete(place), null, 300, Timeout.Infinite);
        CliBox.Answer answer = CliBox.Run("", CliBox.Split($"run alloc-free -q -d 500ms -r 2 -w 100ms -t 1 --format json -o {place}/r"), new CliEnvironment());
        Assert.Equal(1, answer.Code);
        Assert.StartsWith($"memcgnative: --out: cannot write '{place}/r.json'", answer.Error, StringComparison.Ordinal);
        Assert.Contains("\"status\": \"complete\"", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stderr_that_cannot_be_written_changes_nothing_but_itself()
    {
        using var stdout = new StringWriter();
        Assert.Equal(2, Cli.Run(["run"], stdout, new FullWriter(), new CliEnvironment()));
        using var lossy = new LossyWriter(new FullWriter());
        lossy.WriteLine("lost");
        lossy.Flush();
    }

    [Fact]
    public void A_dry_run_leaves_the_disk_alone_and_a_dash_is_stdout_for_placement_too()
    {
        OnOneNode();
        Assert.Equal(0, CliBox.Run(CliBox.Split("run fault --dry-run -o /no/such/place/r")).Code);
        CliBox.Answer answer = CliBox.Run(CliBox.Split("placement --footprint 4M -o -"));
        Assert.StartsWith("{", answer.Out, StringComparison.Ordinal);
        Assert.False(File.Exists("-.json"));
    }

    private sealed class FullWriter : StringWriter
    {
        public override void Write(char value) => throw new IOException("No space left on device.");

        public override void Write(string? value) => throw new IOException("No space left on device.");
    }
}
