// SPDX-License-Identifier: GPL-2.0-only
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Unit;

/// <summary>Rules over one file. Each returns its offences as lines a reader can act on.</summary>
internal static partial class TidyRules
{
    public const int MaxColumns = 180, MaxLines = 400, MaxFunctionLines = 70;

    /// <summary>A file over <see cref="MaxLines"/> says why within its first lines: "long because ...".</summary>
    private const int TopLines = 30;

    private static readonly (Regex Word, string Instead)[] Banned =
    [
        (Word(@"((?<![A-Za-z])t|T)enants?(?![a-z])"), "the field says memcg"),
        (Word(@"((?<![A-Za-z])b|B)ill(s|ed|ing)?(?![a-z])"), "the field says charge"),
        (Word(@"\b(TODO|FIXME|HACK|XXX)\b"), "finish it, or say what is not done where the reader looks"),
        (Word(@"\bNotImplementedException\b"), "no stubs"),
        (Word(@"\bDebug\.Assert\b"), "Bug.Fail stays on in release"),
        (Word(@"\bAnsiConsole\.(?!Create\b)"), "it writes escapes into files; use the console handed in"),
        (Word(@"\bSpinWait\b"), "wait through a cell's Await accessor"),
        (Word(@"(?<![\w.~}$)/-])/(home|work|Users)/\w|(?<!\w)/root/\w|[A-Z]:\\Users\\"), "a path of somebody's machine"),
    ];

    /// <summary>What only Machine.cs may name.</summary>
    public static IEnumerable<string> MachineNames(SourceFile file) =>
        file.Path == "src/Native/Cpu/Machine.cs" ? [] :
        from Match m in MachineName().Matches(file.Code)
        select $"{At(file, m.Index)}: {m.Value} belongs into Machine.cs; use a cell";

    public static IEnumerable<string> BannedWords(SourceFile file) =>
        from ban in Banned
        from Match m in ban.Word.Matches(file.Text)
        select $"{At(file, m.Index)}: '{m.Value}': {ban.Instead}";

    public static IEnumerable<string> License(SourceFile file) =>
        file.Lines[0].TrimStart('\uFEFF').TrimEnd() == "// SPDX-License-Identifier: GPL-2.0-only" ? [] : [$"{file.Path}:1: the first line is not the SPDX line"];

    public static IEnumerable<string> Size(SourceFile file)
    {
        for (int i = 0; i < file.Lines.Length; i++)
            if (file.Lines[i].Length > MaxColumns) yield return $"{file.Path}:{i + 1}: {file.Lines[i].Length} columns, at most {MaxColumns}";
        if (file.Lines.Length > MaxLines && !file.Lines.Take(TopLines).Any(l => l.Contains("long because", StringComparison.OrdinalIgnoreCase)))
            yield return $"{file.Path}: {file.Lines.Length} lines; split it or say near the top: long because ...";
    }

    /// <summary>Functions over the limit, as "path name".</summary>
    public static IEnumerable<string> LongFunctions(SourceFile file) =>
        from f in CSharpText.Functions(file.Code)
        where f.Lines > MaxFunctionLines
        select $"{file.Path} {f.Name}";

    public static string At(SourceFile file, int index) => $"{file.Path}:{1 + file.Text.AsSpan(0, index).Count('\n')}";

    private static Regex Word(string pattern) => new(pattern, RegexOptions.CultureInvariant);

    [GeneratedRegex(@"\b(Interlocked|[Vv]olatile|MemoryBarrier(ProcessWide)?|X86Base\s*\.\s*Pause|ArmBase\s*\.\s*Yield|Sse\s*\.\s*Prefetch\w*"
        + @"|Thread\s*\.\s*(VolatileRead|VolatileWrite|SpinWait))\b")]
    private static partial Regex MachineName();
}
