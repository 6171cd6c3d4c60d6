// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Tests.Interleavings;

/// <summary>SHAPES.txt: every shape that must be exhausted, with its CPUs and the steps of its longest execution. Lines are added, never taken away.</summary>
internal static class ShapeList
{
    public static string File => Path.Combine(Source.Root, "tests", "Interleavings", "SHAPES.txt");

    /// <summary>Names that are listed.</summary>
    public static string[] Read() => !System.IO.File.Exists(File) ? []
        : [.. System.IO.File.ReadAllLines(File).Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split('\t')[0])];

    /// <summary>Names that the registry says are exhausted.</summary>
    public static Case[] Expected() => [.. Cases.All.Where(c => c.Expect == Expect.Exhausted && c.Id != "litmus")];

    /// <summary>Adds the shapes that are not listed yet.</summary>
    public static void Grow()
    {
        string[] old = System.IO.File.Exists(File) ? System.IO.File.ReadAllLines(File)
            : ["# Shapes that must be exhausted under SC and TSO: case, CPUs, steps of the longest of the first executions. This list may only grow."];
        var listed = new HashSet<string>(Read());
        IEnumerable<string> added = Expected().Where(c => !listed.Contains(c.Name)).Select(c =>
            string.Create(CultureInfo.InvariantCulture, $"{c.Name}\t{c.Cpus}\t{Explorer.Explore(c, new ExploreOptions { MaxExecutions = 100 }).Depth}"));
        System.IO.File.WriteAllText(File, string.Join('\n', old.Concat(added)) + "\n");
    }
}
