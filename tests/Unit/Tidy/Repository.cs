// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>One text file of the repository; Path is relative to the root, with slashes.</summary>
internal sealed record SourceFile(string Path, string Text)
{
    public string Name => System.IO.Path.GetFileName(Path);

    public string[] Lines { get; } = Text.Split('\n');

    /// <summary>The same text with comments and literals blanked, for rules that speak of code.</summary>
    public string Code { get; } = CSharpText.CodeOnly(Text);
}

/// <summary>The sources this executable was built from, found by walking up to the solution; absent in a guest, where tidy tests skip.</summary>
internal static class Repository
{
    private static readonly string[] Skipped = [".git", "artifacts", "bin", "obj", "TestResults", "BenchmarkDotNet.Artifacts", "node_modules"];
    private static readonly string? FoundRoot = Find(AppContext.BaseDirectory);

    public static string Root
    {
        get
        {
            if (FoundRoot is null) Assert.Skip("the sources are not here: no MemcgNative.sln above " + AppContext.BaseDirectory);
            return FoundRoot!;
        }
    }

    /// <summary>C# files below the given folders.</summary>
    public static IReadOnlyList<SourceFile> CSharp(params string[] folders) => [.. folders.SelectMany(f => Files(f, ".cs")).Select(Read)];

    /// <summary>Paths, relative to the root, of files below folder with one of the given endings (none: all).</summary>
    public static IEnumerable<string> Files(string folder, params string[] endings)
    {
        string top = Path.Combine(Root, folder);
        if (!Directory.Exists(top)) return [];
        return from path in Walk(new DirectoryInfo(top))
               where endings.Length == 0 || endings.Any(e => path.EndsWith(e, StringComparison.Ordinal))
               orderby path
               select Path.GetRelativePath(Root, path).Replace('\\', '/');
    }

    public static SourceFile Read(string path) => new(path, File.ReadAllText(Path.Combine(Root, path)));

    /// <summary>Output of git in the repository, or null without git or without a repository.</summary>
    public static string? Git(params string[] arguments)
    {
        try
        {
            var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = Root, RedirectStandardOutput = true, RedirectStandardError = true };
            using Process git = Process.Start(start)!;
            git.ErrorDataReceived += (_, _) => { };
            git.BeginErrorReadLine();
            string output = git.StandardOutput.ReadToEnd();
            git.WaitForExit();
            return git.ExitCode == 0 ? output : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static IEnumerable<string> Walk(DirectoryInfo folder)
    {
        foreach (FileInfo file in folder.EnumerateFiles()) yield return file.FullName;
        foreach (DirectoryInfo below in folder.EnumerateDirectories())
        {
            if (below.LinkTarget is not null || Skipped.Contains(below.Name)) continue; // recorded sysfs trees hold links
            foreach (string path in Walk(below)) yield return path;
        }
    }

    private static string? Find(string start)
    {
        for (DirectoryInfo? at = new(start); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "MemcgNative.sln"))) return at.FullName;
        return null;
    }
}
