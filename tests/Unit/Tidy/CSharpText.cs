// SPDX-License-Identifier: GPL-2.0-only
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Unit;

/// <summary>A function (or accessor block) and how many lines it spans, signature included.</summary>
internal readonly record struct Function(string Name, int FirstLine, int Lines);

/// <summary>As much of C#'s lexical structure as the tidy rules need.</summary>
internal static partial class CSharpText
{
    /// <summary>Blanks comments, strings and character literals; keeps every newline and column.</summary>
    public static string CodeOnly(string text) =>
        CommentOrLiteral().Replace(text, m => string.Create(m.Length, m.Value, (blank, seen) =>
        {
            for (int i = 0; i < blank.Length; i++) blank[i] = seen[i] == '\n' ? '\n' : ' ';
        }));

    /// <summary>Functions of a file, by its braces: a block whose parent is a type, or an expression body.</summary>
    public static IReadOnlyList<Function> Functions(string code)
    {
        var found = new List<Function>();
        var scopes = new Stack<(bool IsType, bool IsFunction, int From, string Header)>();
        int from = 0, round = 0;
        for (int i = 0; i < code.Length; i++)
        {
            bool inType = scopes.Count == 0 || scopes.Peek().IsType;
            switch (code[i])
            {
                case '(' or '[': round++; break;
                case ')' or ']': round--; break;
                case '{':
                    string header = code[from..i];
                    bool isType = round == 0 && inType && TypeKeyword().IsMatch(header);
                    scopes.Push((isType, inType && !isType && round == 0 && !IsInitializer(header), from, header));
                    if (inType && (isType || !header.Contains("=>", StringComparison.Ordinal))) from = i + 1;
                    break;
                case '}' when scopes.Count > 0:
                    (bool _, bool isFunction, int start, string head) = scopes.Pop();
                    bool expression = head.Contains("=>", StringComparison.Ordinal);
                    if (isFunction && !expression) found.Add(Measure(code, start, i, head));
                    if ((scopes.Count == 0 || scopes.Peek().IsType) && !expression) from = i + 1;
                    break;
                case ';' when inType && round == 0:
                    string line = code[from..i];
                    if (line.Contains("=>", StringComparison.Ordinal) && !IsInitializer(line)) found.Add(Measure(code, from, i, line));
                    from = i + 1;
                    break;
            }
        }
        return found;
    }

    private static Function Measure(string code, int from, int to, string header)
    {
        while (from < to && char.IsWhiteSpace(code[from])) from++;
        int first = 1 + code.AsSpan(0, from).Count('\n');
        return new Function(NameOf(header), first, 1 + code.AsSpan(from, to - from).Count('\n'));
    }

    // A default value in a parameter list is no initializer.
    private static bool IsInitializer(string header) => Assignment().IsMatch(Parentheses().Replace(header.Split("=>")[0], ""));

    private static string NameOf(string header)
    {
        string signature = Attributes().Replace(header.Split("=>")[0], "");
        Match name = BeforeParenthesis().Match(signature);
        return name.Success ? name.Groups[1].Value : LastWord().Match(signature).Value;
    }

    [GeneratedRegex("""//[^\n]*|/\*.*?\*/|\$*("{3,}).*?\1|\$?@\$?"(?:""|[^"])*"|\$?"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,9}?|[^'\\\n])'""", RegexOptions.Singleline)]
    private static partial Regex CommentOrLiteral();

    [GeneratedRegex(@"\b(class|struct|interface|record|enum|namespace)\b")]
    private static partial Regex TypeKeyword();

    [GeneratedRegex(@"(?<![=!<>+\-*/|&^])=(?![=>])")]
    private static partial Regex Assignment();

    [GeneratedRegex(@"\((?>[^()]+|(?<open>\()|(?<-open>\)))*\)", RegexOptions.Singleline)]
    private static partial Regex Parentheses();

    [GeneratedRegex(@"\[[^\]]*\]", RegexOptions.Singleline)]
    private static partial Regex Attributes();

    [GeneratedRegex(@"(\w+)\s*(?:<[^<>()]*>)?\s*\(")]
    private static partial Regex BeforeParenthesis();

    [GeneratedRegex(@"\w+(?=\W*$)")]
    private static partial Regex LastWord();
}
