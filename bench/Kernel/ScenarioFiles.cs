// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The scenario files that are part of the program (bench/Kernel/scenarios).</summary>
internal static class ScenarioFiles
{
    private const string Prefix = "scenarios/";
    private static Assembly Program => typeof(ScenarioFiles).Assembly;

    /// <summary>Their names, in order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Program.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Select(n => n[Prefix.Length..]).Order(StringComparer.Ordinal)];

    /// <summary>A file of the user's, or one of these by its name.</summary>
    /// <exception cref="UsageException">Neither, or a line of it is wrong.</exception>
    public static Script Read(string name)
    {
        if (File.Exists(name)) return ScriptParser.ReadFile(name);
        string known = name.EndsWith(".memcg", StringComparison.Ordinal) ? name : name + ".memcg";
        if (!Names.Contains(known))
            throw new UsageException($"{name}: no such file, and no scenario of this program{Nearest.Hint(known, Names)} See: memcgnative conform --list");
        return ScriptParser.Parse(known, Text(known));
    }

    /// <summary>The text of one of them.</summary>
    public static string Text(string name)
    {
        using var reader = new StreamReader(Program.GetManifestResourceStream(Prefix + name)!);
        return reader.ReadToEnd();
    }
}
