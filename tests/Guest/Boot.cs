// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>What a command said in the guest.</summary>
public sealed record Answer(int Status, string Out, string Error)
{
    private JsonElement Json => JsonDocument.Parse(Out).RootElement;

    /// <summary>The JSON it printed; a failed command shows its error instead.</summary>
    public JsonElement Result
    {
        get
        {
            Assert.True(Status == 0, $"exit {Status}: {Error}");
            return Json;
        }
    }

    /// <summary>Of `placement`: "0:1024 1:1024", frames by node as the kernel told.</summary>
    public string Found => Spread(Json.GetProperty("placement").GetProperty("found"));

    /// <summary>"0:1024 1:1024" of {"0": 1024, "1": 1024}.</summary>
    public static string Spread(JsonElement byNode) => string.Join(' ', byNode.EnumerateObject().Select(n => $"{n.Name}:{n.Value.GetInt64()}"));
}

/// <summary>One boot of one machine on one kernel, with the answers to a list of jobs.</summary>
public sealed class Boot
{
    private const int CannotBeHad = 3;
    private const string LockedUp = "the machine locked up in the emulator, twice";
    private const string Later = "boots machines for minutes; asked for by ./build.sh test Guest, all instruction counts by MEMCGNATIVE_ICOUNT=1";
    private static readonly SemaphoreSlim places = new(2);
    private readonly Task<(int Status, string Said)>? run; // none: not asked for
    private readonly string options, job;
    private readonly string folder = Directory.CreateTempSubdirectory("memcgnative-guest-answers").FullName;

    /// <summary>Boots in the background; two machines at a time.</summary>
    /// <param name="options">Of guest.sh: the kernel and the machine.</param>
    /// <param name="job">For the guest's shell. "inside FOLDER" takes the jobs that Inside/Program.cs knows.</param>
    /// <param name="wanted">In this test run; the tests of others skip.</param>
    public Boot(string options, string job, bool wanted)
    {
        (this.options, this.job) = (options, job);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        if (!wanted) return;
        run = Task.Run(() =>
        {
            places.Wait();
            try
            {
                return Start();
            }
            finally
            {
                places.Release();
            }
        });
    }

    /// <summary>Whether everything is to run.</summary>
    public static bool Asked { get; } = Environment.GetEnvironmentVariable("MEMCGNATIVE_GUEST") == "1";

    /// <summary>The answer of a job by name; skips the test where there can be no guest.</summary>
    public Answer this[string name]
    {
        get
        {
            if (run == null || (!Asked && !job.Contains($"\n{name} ", StringComparison.Ordinal))) Assert.Skip(Later);
            (int status, string said) = run!.GetAwaiter().GetResult();
            if (status == CannotBeHad) Assert.Skip(said.Trim());
            if (said.Contains(LockedUp, StringComparison.Ordinal)) Assert.Skip($"{options}: {LockedUp}"); // it says nothing of what was to be tested
            Assert.True(status == 0, $"the guest ended with {status}: {said}");
            string file = Path.Combine(folder, name);
            Assert.True(File.Exists(file + ".status"), $"no answer to '{name}': {said}{End(File.ReadAllLines(Path.Combine(folder, "console")))}");
            return new Answer(int.Parse(File.ReadAllText(file + ".status"), null), File.ReadAllText(file + ".out"), File.ReadAllText(file + ".err"));
        }
    }

    private (int Status, string Said) Start()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/bin/bash")) return (CannotBeHad, "the guest needs Linux and bash");
        string script = Path.Combine(folder, "job");
        File.WriteAllText(script, job);
        string here = Path.GetDirectoryName(Here())!;
        string program = Path.Combine(here, "../../artifacts/bin/Inside/release");
        var start = new ProcessStartInfo("/bin/bash", [Path.Combine(here, "guest.sh"), "-t", "1800", .. options.Split(' '), "-f", program, "-j", script, "-o", folder])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        start.Environment["TMPDIR"] = folder;
        start.Environment["MEMCGNATIVE_GUEST_OWNER"] = Environment.ProcessId.ToString(null, null);
        using Process child = Process.Start(start)!;
        Task<string> output = child.StandardOutput.ReadToEndAsync();
        string errors = child.StandardError.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, errors + output.GetAwaiter().GetResult());
    }

    private static string End(string[] console) => string.Join('\n', console.TakeLast(12));

    private static string Here([CallerFilePath] string path = "") => path;
}
