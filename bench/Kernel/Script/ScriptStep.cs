// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>What a line of a scenario file asks for; the words are in <see cref="ScriptGrammar"/>.</summary>
internal enum Verb
{
    Needs, Group, Remove, Set, Empty, Reclaim, Reset, Task, Move, Exit, Map, Touch, Anon, Shm, File, Pipes, Dentries, Free, Migrate, Wait, Expect, Differs,
}

/// <summary>How an expected value binds.</summary>
internal enum Bound
{
    /// <summary>The value, within what the backend's batches and lags allow.</summary>
    Derived,
    /// <summary>The value and nothing else.</summary>
    Exactly,
    /// <summary>From Low to High.</summary>
    Range,
    /// <summary>values_close of the kernel's selftests: a percentage of the sum.</summary>
    Close,
}

/// <summary>One `expect`: Low and High bind as <see cref="Bound"/> says; a word for tasks.</summary>
internal sealed record Expectation(string Key, Bound Bound, long Low, long High, int Percent = 0, string? Word = null)
{
    /// <summary>The expected value as a person reads it.</summary>
    public string Shown => Word ?? Bound switch
    {
        Bound.Exactly => $"exactly {Low}",
        Bound.Close => $"{Low} close {Percent}%",
        Bound.Range when Low == long.MinValue => $"<= {High}",
        Bound.Range when High == long.MaxValue => $">= {Low}",
        Bound.Range => $"{Low}..{High}",
        _ => $"{Low}",
    };

    /// <summary>values_close(a, b, e): |a - b| at most e percent of the sum, the sum divided first as the selftests do.</summary>
    public static long CloseBy(long a, long b, int percent) => (a + b) / 100 * percent;
}

/// <summary>
/// One line. Sizes are pages. Subject is the group, task or region the line is about; Object the second name (a group to go to, a region to make).
/// </summary>
/// <param name="Line">From 1, in the file.</param>
/// <param name="Verb">What to do.</param>
/// <param name="Subject">Who.</param>
/// <param name="Object">With what; "" when there is no second name.</param>
/// <param name="Amount">Pages, objects, a CPU, a node or milliseconds.</param>
/// <param name="Second">Pages of each pipe.</param>
/// <param name="Text">The line without comment and indent.</param>
internal sealed record ScriptStep(int Line, Verb Verb, string Subject, string Object, long Amount, long Second, string Text)
{
    /// <summary>Limits of a new group, or the one limit that is set: name and pages (long.MaxValue: none).</summary>
    public IReadOnlyList<(string Name, long Pages)> Limits { get; init; } = [];

    /// <summary>What is expected.</summary>
    public Expectation? Expect { get; init; }
}

/// <summary>A scenario file that has been read: every name in it is known where it is used, every loop unrolled.</summary>
/// <param name="Name">File name, for messages.</param>
/// <param name="Steps">In order.</param>
internal sealed record Script(string Name, IReadOnlyList<ScriptStep> Steps)
{
    /// <summary>What the scenario says it needs: swap, protection, nodes 2, ...</summary>
    public IEnumerable<(string What, long Amount)> Needs => Steps.Where(s => s.Verb == Verb.Needs).Select(s => (s.Subject, s.Amount));

    /// <summary>Answers of the port for which the scenario does not hold, with the reason: kmem=PerCachePin, "a group stays as long as ...".</summary>
    public IEnumerable<(string Answer, string Reason)> Differs => Steps.Where(s => s.Verb == Verb.Differs).Select(s => (s.Subject, s.Object));

    /// <summary>CPUs that tasks are pinned to, in order.</summary>
    public int[] Cpus { get; } = [.. Steps.Where(s => s.Verb == Verb.Task).Select(s => (int)s.Amount).Distinct().Order()];

    /// <summary>Most pages alive at one time, were nothing refused.</summary>
    public long PeakPages { get; } = ScriptFootprint.Of(Steps);

    /// <summary>Groups ever made.</summary>
    public int Groups => Steps.Count(s => s.Verb == Verb.Group);
}

/// <summary>How much a scenario can hold at once.</summary>
internal static class ScriptFootprint
{
    /// <summary>Pages of kernel objects and user memory at the worst step.</summary>
    public static long Of(IReadOnlyList<ScriptStep> steps)
    {
        var live = new Dictionary<string, (string Task, long Pages)>();
        long now = 0, peak = 0;
        foreach (ScriptStep s in steps)
        {
            long pages = s.Verb switch
            {
                Verb.Map or Verb.Anon or Verb.Shm or Verb.File => s.Amount,
                Verb.Pipes => s.Amount * s.Second,
                Verb.Dentries => s.Amount / 16 + 1,
                _ => 0,
            };
            if (pages != 0)
            {
                live[s.Object] = (s.Subject, pages);
                peak = Math.Max(peak, now += pages);
            }
            if (s.Verb == Verb.Free && live.Remove(s.Subject, out var freed)) now -= freed.Pages;
            if (s.Verb != Verb.Exit) continue;
            foreach ((string name, (string task, long held)) in live.Where(r => r.Value.Task == s.Subject).ToArray())
            {
                now -= held;
                live.Remove(name);
            }
        }
        return peak;
    }
}
