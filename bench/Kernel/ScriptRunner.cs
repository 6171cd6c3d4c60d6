// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>What became of one `expect`.</summary>
/// <param name="Step">The line.</param>
/// <param name="Value">What was read: pages, a count, or a word.</param>
/// <param name="Ok">It is as expected; null: not to be had on this machine, and Why says why.</param>
/// <param name="Tolerance">Where the range that was accepted comes from.</param>
/// <param name="Number">The value as a number, where it is one.</param>
internal sealed record Check(ScriptStep Step, string Value, bool? Ok, string Tolerance, long? Number = null)
{
    /// <summary>How far below and above the expectation was accepted.</summary>
    public (long Below, long Above) Slack { get; init; }
}

/// <summary>A scenario that was run on a machine.</summary>
/// <param name="Machine">Which.</param>
/// <param name="Checks">One per `expect`, in order.</param>
/// <param name="Skip">Why it was not run, or null.</param>
/// <param name="Wrong">What does not balance at the end, or why it broke off.</param>
internal sealed record ScriptRun(string Machine, IReadOnlyList<Check> Checks, string? Skip, IReadOnlyList<string> Wrong)
{
    /// <summary>Why it is known not to hold on this machine; then it must not, or the reason is none any more.</summary>
    public string? Differs { get; init; }

    public bool Failed => Wrong.Count > 0 || (Differs is not null && Skip is null ? !Deviates : Deviates);

    private bool Deviates => Checks.Any(c => c.Ok == false);
}

/// <summary>Runs scenarios on machines, step by step.</summary>
internal static class ScriptRunner
{
    /// <summary>Runs the whole scenario; a failed expectation does not end it.</summary>
    /// <exception cref="OperationCanceledException">stop was asked for; the machine has been put back.</exception>
    public static ScriptRun Run(Script script, IScriptBackend backend, CancellationToken stop)
    {
        if (backend.WhyNot(script) is { } why) return new ScriptRun(backend.Name, [], why, []);
        using IScriptMachine machine = backend.Open(script);
        var checks = new List<Check>();
        foreach (ScriptStep step in script.Steps)
        {
            stop.ThrowIfCancellationRequested();
            if (step.Expect is null) machine.Do(step);
            else checks.Add(Compare(step, step.Expect, machine));
        }
        return new ScriptRun(machine.Name, checks, null, machine.Finish()) { Differs = backend.Differs(script) };
    }

    private static Check Compare(ScriptStep step, Expectation expect, IScriptMachine machine)
    {
        if (expect.Word is { } word)
        {
            string end = machine.EndOf(step.Subject);
            return new Check(step, end, end == word || (word == "oom" && end == "killed"), "exact");
        }
        Reading reading = machine.Read(step.Subject, expect.Key);
        if (reading.Value is not { } value) return new Check(step, "-", null, reading.Why);
        (long below, long above, string why) = expect.Bound switch
        {
            Bound.Derived => (reading.Below, reading.Above, reading.Why),
            Bound.Close => Close(value, expect),
            _ => (0, 0, expect.Bound == Bound.Exactly ? "exact" : "the range given"),
        };
        bool ok = (expect.Low == long.MinValue || value >= expect.Low - below) && (expect.High == long.MaxValue || value <= expect.High + above);
        return new Check(step, value.ToString(System.Globalization.CultureInfo.InvariantCulture), ok, why, value) { Slack = (below, above) };
    }

    /// <summary>values_close counts bytes, and divides the sum first.</summary>
    private static (long, long, string) Close(long value, Expectation expect)
    {
        long pages = Expectation.CloseBy(value * 4096, expect.Low * 4096, expect.Percent) / 4096;
        return (pages, pages, $"{expect.Percent} % of the sum = {pages}");
    }
}
