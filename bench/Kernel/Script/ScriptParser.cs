// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Reads a scenario file: a verb a line, # to the end of a line is a comment, `repeat N` to `end` is unrolled. Whatever is wrong is said
/// with file and line before anything runs.
/// </summary>
internal sealed class ScriptParser
{
    /// <summary>Bounds that no sensible file meets, so that no file can ask for the machine's memory.</summary>
    private const int MostBytes = 1 << 20, MostSteps = 50_000, MostNesting = 4, MostLines = 1_000_000;

    private readonly string name;
    private readonly string[] lines;
    private readonly ScriptScope scope = new();
    private readonly List<ScriptStep> steps = [];
    private int read;

    private ScriptParser(string name, string text)
    {
        this.name = name;
        lines = text.Split('\n');
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="UsageException">The file cannot be read, or a line is wrong.</exception>
    public static Script ReadFile(string path)
    {
        try
        {
            var info = new FileInfo(path);
            if (info.Exists && info.Length > MostBytes) throw new UsageException($"{path}: {info.Length} bytes; a scenario has at most {MostBytes}");
            return Parse(Path.GetFileName(path), File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"{path}: cannot be read: {e.Message.TrimEnd('.')}");
        }
    }

    /// <summary>Reads a text.</summary>
    /// <exception cref="UsageException">A line is wrong.</exception>
    public static Script Parse(string name, string text)
    {
        if (text.Length > MostBytes) throw new UsageException($"{name}: {text.Length} characters; a scenario has at most {MostBytes}");
        var parser = new ScriptParser(name, text);
        parser.Block(0, 0, repeat: null);
        if (!parser.steps.Exists(s => s.Verb == Verb.Expect)) throw new UsageException($"{name}: expects nothing, so it cannot fail; add an expect line");
        return new Script(name, parser.steps);
    }

    /// <summary>Lines from at on, up to the end or the `end` of repeat; returns the line behind.</summary>
    private int Block(int at, int depth, ScriptLine? repeat)
    {
        for (; at < lines.Length; at++)
        {
            var line = new ScriptLine(name, at + 1, lines[at]);
            if (++read > MostLines) throw line.Error($"more than {MostLines} lines when all loops are unrolled; repeat less often");
            if (line.IsEmpty) continue;
            if (line.Took("repeat"))
            {
                if (depth == MostNesting) throw line.Error($"repeat: at most {MostNesting} within each other");
                long times = line.Number64("how often", 1, MostSteps);
                line.End();
                int behind = at + 1;
                for (long i = 0; i < times; i++) behind = Block(at + 1, depth + 1, line);
                at = behind;
            }
            else if (line.Took("end"))
            {
                line.End();
                return repeat is not null ? at : throw line.Error("'end' without repeat");
            }
            else
            {
                if (steps.Count == MostSteps) throw line.Error($"more than {MostSteps} steps; repeat less often");
                steps.Add(Step(line));
            }
        }
        return repeat is null ? at : throw repeat.Error("repeat without 'end'");
    }

    private ScriptStep Step(ScriptLine line)
    {
        string word = line.Take("a verb");
        int found = Array.FindIndex(ScriptGrammar.Verbs, v => v.Word == word);
        if (found < 0) throw line.Unknown("verb", word, [.. ScriptGrammar.Verbs.Select(v => v.Word), "repeat", "end"]);
        ScriptStep step = Arguments(line, ScriptGrammar.Verbs[found].Verb);
        line.End();
        scope.Apply(line, step);
        return step;
    }

    private ScriptStep Arguments(ScriptLine line, Verb verb) => verb switch
    {
        Verb.Needs => Needs(line),
        Verb.Differs => Differs(line),
        Verb.Group => New(line, verb, line.Path()) with { Limits = Limits(line) },
        Verb.Remove or Verb.Empty => New(line, verb, scope.Group(line)),
        Verb.Set => New(line, verb, scope.Group(line)) with { Limits = [Limit(line)] },
        Verb.Reclaim => New(line, verb, scope.Group(line), amount: line.Size("how much")),
        Verb.Reset => New(line, verb, scope.Group(line), line.OneOf("thing to reset", ["peak", "failcnt"])),
        Verb.Task => StartTask(line),
        Verb.Move => New(line, verb, scope.Task(line), scope.Group(line)),
        Verb.Exit => New(line, verb, scope.Task(line)),
        Verb.Map or Verb.Anon or Verb.Shm or Verb.File => New(line, verb, scope.Task(line), line.Name("a region"), line.Size("a size")),
        Verb.Touch => New(line, verb, scope.Region(line), amount: line.Size("how much")),
        Verb.Pipes => Pipes(line),
        Verb.Dentries => New(line, verb, scope.Task(line), line.Name("a region"), line.Number64("how many", 1, 10_000_000)),
        Verb.Free => New(line, verb, scope.Region(line)),
        Verb.Migrate => OnNode(line),
        Verb.Wait => Wait(line),
        _ => Expect(line),
    };

    private static ScriptStep New(ScriptLine line, Verb verb, string subject, string second = "", long amount = 0, long other = 0) =>
        new(line.Number, verb, subject, second, amount, other, line.Text);

    private static ScriptStep Needs(ScriptLine line)
    {
        string what = line.OneOf("need", [.. ScriptGrammar.NeedsAlone, .. ScriptGrammar.NeedsWithNumber]);
        return New(line, Verb.Needs, what, amount: ScriptGrammar.NeedsWithNumber.Contains(what) ? line.Number64($"a number of {what}", 1, 4096) : 0);
    }

    private static ScriptStep Differs(ScriptLine line)
    {
        string answer = line.OneOf("answer of a design", [.. Eras.Answers.Select(a => $"{Eras.NameOf(a.Axis)}={a.Name}")]);
        var reason = new List<string>();
        do reason.Add(line.Take("a reason"));
        while (!line.AtEnd);
        return New(line, Verb.Differs, answer, string.Join(' ', reason));
    }

    private static List<(string, long)> Limits(ScriptLine line)
    {
        var limits = new List<(string, long)>();
        while (!line.AtEnd) limits.Add(Limit(line));
        return limits;
    }

    private static (string, long) Limit(ScriptLine line)
    {
        string which = line.OneOf("limit", ScriptGrammar.Limits);
        return (which, line.Took("none") ? long.MaxValue : line.Size("a size or 'none'"));
    }

    private ScriptStep StartTask(ScriptLine line)
    {
        string task = line.Name("a task");
        line.Demand("in");
        string group = scope.Group(line);
        line.Demand("cpu");
        return New(line, Verb.Task, task, group, line.Number64("a CPU", 0, 8191));
    }

    private ScriptStep Pipes(ScriptLine line)
    {
        string task = scope.Task(line), region = line.Name("a region");
        long pipes = line.Number64("a number of pipes", 1, 100_000);
        line.Demand("fill");
        return New(line, Verb.Pipes, task, region, pipes, line.Number64("pages of each pipe", 1, 16));
    }

    private ScriptStep OnNode(ScriptLine line)
    {
        string region = scope.Region(line);
        line.Demand("node");
        return New(line, Verb.Migrate, region, amount: line.Number64("a node", 0, 1023));
    }

    private static ScriptStep Wait(ScriptLine line)
    {
        string time = line.Take("a time or 'quiet'");
        if (time == "quiet") return New(line, Verb.Wait, "quiet");
        TimeSpan wait;
        try
        {
            wait = DurationText.Parse("wait", time);
        }
        catch (UsageException e)
        {
            throw line.Error(e.Message);
        }
        return wait <= TimeSpan.FromMinutes(5) ? New(line, Verb.Wait, "", amount: (long)wait.TotalMilliseconds) : throw line.Error($"'{time}': wait at most 5m");
    }

    private ScriptStep Expect(ScriptLine line)
    {
        string subject = line.Take("a group, a task or 'dying'");
        ScriptStep step = New(line, Verb.Expect, subject);
        if (subject == "dying") return step with { Expect = ScriptValue.Read(line, "dying", ValueUnit.Count) };
        if (scope.HasTask(subject)) return step with { Expect = new Expectation("", Bound.Exactly, 0, 0, 0, line.OneOf("end of a deed", ScriptGrammar.Ends)) };
        if (!scope.HasGroup(subject)) throw line.Unknown("group or task", subject, [.. scope.Groups, .. scope.Tasks, "dying"]);
        string key = line.Take("what to look at");
        ValueUnit unit = ScriptGrammar.UnitOf(key) ?? throw line.Unknown("value of a group", key, [.. ScriptGrammar.Keys.Select(k => k.Key), "numa.0.anon", "numa.0.file"]);
        return step with { Expect = ScriptValue.Read(line, key, unit) };
    }
}
