// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// Hostile input: the corpus, bent at random. A reader takes it or refuses it with its own exception and one line; nothing else may come
/// out, nothing may take a second, nothing may need 64 MB. MEMCGNATIVE_FUZZ=1000000 runs that many inputs per format; MEMCGNATIVE_FUZZ_SEED names the seed.
/// </summary>
public sealed class FuzzTests
{
    private const long MostBytes = 64L << 20;

    /// <summary>Inputs a format, where MEMCGNATIVE_FUZZ names a number.</summary>
    internal static readonly int? Asked = int.TryParse(Environment.GetEnvironmentVariable("MEMCGNATIVE_FUZZ"), out int n) ? n : null;

    /// <summary>Of formats of one line, and of whole files.</summary>
    private static readonly int inputs = Asked ?? 1500, files = Asked ?? 300;
    private static readonly int seed = int.TryParse(Environment.GetEnvironmentVariable("MEMCGNATIVE_FUZZ_SEED"), out int s) ? s : 0x5eed;

    private static readonly Lazy<Topology> machine = new(() => SyntheticTopology.Parse("pack:2 numa:2 core:4 pu:2"));

    private static readonly CliEnvironment dualSocket = new() { Topology = () => machine.Value };

    private static readonly Lazy<string> result = new(() => JsonSerializer.Serialize(MadeUpResult.On("pack:1 core:2 pu:1", "3.17", "3.19"), ResultJson.Default.Result));

    private static readonly string[] tokens =
    [
        "-", ",", ":", "/", "~", "=", ".", " ", "\t", "\n", "\0", "0", "-1", "2147483648", "9223372036854775808", "99999999999999999999", "1e308", "NaN", "all", "0-", "-0",
        "0-2147483647", "\u00e9", "\ud83d\ude00", "%s", "../../etc/passwd", "$(reboot)", "--", "'", "\"", "[", "]", "{", "[0-4294967295]", "\\n", "\\",
    ];

    [Fact] public void Lists_of_cpus() => Fuzz("cpus", t => _ = CpuList.Parse(t, machine.Value));
    [Fact] public void Lists_of_nodes() => Fuzz("cpus", t => _ = NodeList.Parse(t, machine.Value));
    [Fact] public void Memory_policies() => Fuzz("policy", t => _ = NumaPolicy.Parse(t));
    [Fact] public void Sizes() => Fuzz("scalar", t => _ = SizeText.Parse("--footprint", t));
    [Fact] public void Durations() => Fuzz("scalar", t => _ = DurationText.Parse("--duration", t));
    [Fact] public void Seeds() => Fuzz("scalar", t => _ = SeedText.Parse(t));
    [Fact] public void Ladders_of_threads() => Fuzz("scalar", t => _ = ThreadLadder.Parse(t, 64));
    [Fact] public void Kinds_of_page() => Fuzz("scalar", t => _ = PageKind.ParseList(t));
    [Fact] public void Maps_of_places() => Fuzz("scalar", t => _ = PlaceMap.Parse(t, machine.Value));
    [Fact] public void Models_of_designs() => Fuzz("model", t => _ = Model.Parse(t));
    [Fact] public void Faults_of_the_system() => Fuzz("scalar", t => { _ = Errno.TryParse(t, out _); });
    [Fact] public void Synthetic_machines() => Fuzz("machine", t => _ = SyntheticTopology.Parse(t));

    [Fact]
    public void Undo_journals() => Fuzz("undo", t =>
    {
        if (OperatingSystem.IsLinux()) _ = UndoJournal.Parse(t + "\n", "fuzz");
    });

    [Fact]
    public void Names_of_groups() => Fuzz("undo", t =>
    {
        if (OperatingSystem.IsLinux() && HostDirectory.IsName(t) && (t.Contains('/', StringComparison.Ordinal) || t.StartsWith('.')))
            throw new InvalidOperationException("it leads elsewhere");
    });

    [Fact]
    public void Scenario_files() => Fuzz(
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "bench/Kernel/scenarios"), "*.memcg").Order(StringComparer.Ordinal).Select(File.ReadAllText)],
        text => _ = ScriptParser.Parse("fuzz", text), files);

    [Fact]
    public void Recordings_and_the_sysfs_trees_in_them() => Fuzz(
        [.. new[] { "vm-one-node", "two-sockets", "cxl", "memory-less-node" }.Select(m => File.ReadAllText(Path.Combine(Machines.Directory, m, "machine.txt")))],
        text => _ = SysfsTopology.Read(MachineRecording.Read(new StringReader(text), "fuzz")), files);

    [Fact]
    public void Results() => Fuzz([result.Value], text =>
    {
        const string File = "fuzz";
        string stored = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)); // half a surrogate becomes U+FFFD, as in a file
        (Result? read, _) = ResultReader.ReadAny(File, ResultReader.Data(File, stored));
        if (read is null) return;
        // What was taken has to be shown in every form.
        foreach (var form in (Func<Result, string>[])[TextReports.Markdown, TextReports.Csv, TextReports.Histograms, TextReports.WillItScale, TextReports.Lkp]) _ = form(read);
        if (read.Points.Count > 0) _ = Comparison.Of(File, read, File, read, 2);
        if (text.Length % 16 == 0) _ = HtmlReport.Text(read);
    }, files);

    /// <summary>Bytes as Latin-1 text, so that they are bent as all the others are.</summary>
    [Fact]
    public void Recordings_of_the_kernel() => Fuzz(
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "tests/Unit/Fixtures/recordings"), "guest-*.mtrace").Order(StringComparer.Ordinal)
            .Select(f => Encoding.Latin1.GetString(File.ReadAllBytes(f)))],
        text => _ = TraceFormat.Read(new MemoryStream(Encoding.Latin1.GetBytes(text)), "fuzz"), files);

    /// <summary>Taken or refused by the parser. What a command makes of a value is the other formats, and the commands themselves are run below.</summary>
    [Fact]
    public void Command_lines()
    {
        RootCommand root = CommandTree.Build(new OptionSet(), new CommandContext(new OptionSet(), new CliEnvironment(), [], TextWriter.Null, TextWriter.Null));
        Fuzz(Corpus("line"), line =>
        {
            string[] args = CliBox.Split(line);
            ParseResult parsed = root.Parse(args, Cli.Plain);
            if (parsed.Errors.Count > 0) throw new UsageException(ParseErrors.OneLine(parsed, args));
        }, inputs);
    }

    /// <summary>A fiftieth: each builds the whole tree of commands and does what it says, 2 ms.</summary>
    [Fact]
    public void Commands_that_run() => Fuzz(Corpus("line"), line =>
    {
        string[] args = CliBox.Split(line.Replace("placement", "topology", StringComparison.Ordinal));
        if (args is ["run" or "sweep", ..] && !args.Contains("--dry-run")) args = [.. args, "--dry-run"]; // what it would do, not that it does it
        args = [.. args.Where(a => !a.StartsWith("-o", StringComparison.Ordinal) && !a.StartsWith("--o", StringComparison.Ordinal))];
        CliBox.Answer answer = CliBox.Run("", args, dualSocket);
        if (answer.Code is not (0 or 2 or 3)) throw new InvalidOperationException($"exit {answer.Code}: {answer.Error}");
        if (answer.Code != 0 && answer.Error.TrimEnd().Split('\n').Length != 1 && !args.Contains("--debug")) throw new InvalidOperationException($"several lines: {answer.Error}");
    }, files > 10_000 ? files / 50 : files);

    private static string[] Corpus(string name) => File.ReadAllLines(Path.Combine(Repository.Root, "tests/Unit/Fuzz/corpus", name + ".txt"));

    private static void Fuzz(string corpus, Action<string> read) => Fuzz(Corpus(corpus), read, inputs);

    private static void Fuzz(string[] corpus, Action<string> read, int count)
    {
        var random = new Random(seed);
        for (int i = 0; i < count + corpus.Length; i++)
        {
            string text = i < corpus.Length ? corpus[i] : Bend(corpus, random);
            long start = Stopwatch.GetTimestamp(), bytes = GC.GetAllocatedBytesForCurrentThread();
            string? wrong = null;
            try
            {
                read(text);
            }
            catch (Exception e) when (e is UsageException or TopologyException or OsException)
            {
                if (e.Message.AsSpan().IndexOfAny('\n', '\r') >= 0) wrong = "the refusal has several lines";
            }
            catch (Exception e)
            {
                wrong = e.ToString();
            }
            if (Stopwatch.GetElapsedTime(start).TotalSeconds > 1 && Stopwatch.GetElapsedTime(start).TotalSeconds is var s && Retried(read, text) > 1) wrong ??= $"took {s:0.0} s";
            if (GC.GetAllocatedBytesForCurrentThread() - bytes is var used && used > MostBytes) wrong ??= $"allocated {used >> 20} MB";
            Assert.True(wrong is null, $"input {i} of seed {seed}: {Shown(text)}\n{wrong}");
        }
    }

    /// <summary>Seconds the second time: the first may have been descheduled.</summary>
    private static double Retried(Action<string> read, string text)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            read(text);
        }
        catch (Exception e) when (e is UsageException or TopologyException or OsException)
        {
            // refused again, which is as good as taken: only the time counts here
        }
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static string Bend(string[] corpus, Random random)
    {
        var text = new StringBuilder(corpus[random.Next(corpus.Length)]);
        for (int times = 1 + random.Next(6); times > 0; times--)
        {
            int at = random.Next(text.Length + 1), length = Math.Min(random.Next(8), text.Length - at);
            switch (random.Next(8))
            {
                case 0:
                    text.Remove(at, length);
                    break;
                case 1:
                    text.Insert(at, text.ToString(at, length));
                    break;
                case 2 when at < text.Length:
                    text[at] = (char)(text[at] ^ 1 << random.Next(8));
                    break;
                case 3 when at < text.Length:
                    text[at] = (char)random.Next(0x20, 0x7f);
                    break;
                case 4:
                    string other = corpus[random.Next(corpus.Length)];
                    int from = random.Next(other.Length + 1);
                    text.Remove(at, text.Length - at).Append(other.AsSpan(from));
                    break;
                case 5:
                    text.Length = at;
                    break;
                case 6:
                    for (int i = random.Next(40); i > 0; i--) text.Insert(at, random.Next(10));
                    break;
                default:
                    text.Insert(at, tokens[random.Next(tokens.Length)]);
                    break;
            }
        }
        return text.ToString();
    }

    private static string Shown(string text) => System.Text.Json.JsonSerializer.Serialize(text.Length > 300 ? text[..300] + "..." : text);
}
