// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>A value read, and how far from the expected one it may be here for known reasons.</summary>
/// <param name="Value">Pages or a count; null: not to be had here, and Why says why.</param>
/// <param name="Below">How much less than expected it may show.</param>
/// <param name="Above">How much more.</param>
/// <param name="Why">Where Below and Above come from: "stock 64 x 2 CPUs, page vectors 14 x 1".</param>
internal readonly record struct Reading(long? Value, long Below, long Above, string Why)
{
    /// <summary>Nothing to compare.</summary>
    public static Reading None(string why) => new(null, 0, 0, why);

    /// <summary>A value that neither batches nor lags.</summary>
    public static Reading Exact(long value) => new(value, 0, 0, "exact");
}

/// <summary>What a scenario runs on: the port in one era, or the running kernel.</summary>
internal interface IScriptMachine : IDisposable
{
    /// <summary>"port 6.18", "kernel 6.18.44 (v1)".</summary>
    string Name { get; }

    /// <summary>Runs one step that is no `expect`. What a task's deed came to is kept for <see cref="EndOf"/>.</summary>
    void Do(ScriptStep step);

    /// <summary>A key of a group; "dying" of nobody.</summary>
    Reading Read(string group, string key);

    /// <summary>How the last deed of a task ended: a word of <see cref="ScriptGrammar.Ends"/>.</summary>
    string EndOf(string task);

    /// <summary>After the last step: what does not balance, one line each.</summary>
    IReadOnlyList<string> Finish();
}

/// <summary>Opens machines for scenarios.</summary>
internal interface IScriptBackend
{
    /// <summary>As <see cref="IScriptMachine.Name"/>.</summary>
    string Name { get; }

    /// <summary>Why the scenario cannot run here, or null.</summary>
    string? WhyNot(Script script);

    /// <summary>Why the scenario is known not to hold here, or null.</summary>
    string? Differs(Script script);

    /// <summary>A machine on which nothing has run.</summary>
    IScriptMachine Open(Script script);
}
