// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Bench;

/// <summary>The right side of `expect`: 200p, exactly 200p, 100p..200p, >= 50M, > 0, 50M close 3%.</summary>
internal static class ScriptValue
{
    public static Expectation Read(ScriptLine line, string key, ValueUnit unit)
    {
        string word = line.Take("a value");
        switch (word)
        {
            case "exactly":
                long exact = Value(line, line.Take("a value"), unit);
                return new Expectation(key, Bound.Exactly, exact, exact);
            case ">=" or ">":
                return new Expectation(key, Bound.Range, Value(line, line.Take("a value"), unit) + (word == ">" ? 1 : 0), long.MaxValue);
            case "<=" or "<":
                return new Expectation(key, Bound.Range, long.MinValue, Value(line, line.Take("a value"), unit) - (word == "<" ? 1 : 0));
        }
        int dots = word.IndexOf("..", StringComparison.Ordinal);
        if (dots >= 0)
        {
            long low = Value(line, word[..dots], unit), high = Value(line, word[(dots + 2)..], unit);
            return low <= high ? new Expectation(key, Bound.Range, low, high) : throw line.Error($"'{ScriptLine.Shorten(word)}' ends before it begins");
        }
        long value = Value(line, word, unit);
        if (!line.Took("close")) return new Expectation(key, Bound.Derived, value, value);
        string percent = line.Take("a percentage");
        return percent.EndsWith('%') && int.TryParse(percent.AsSpan(0, percent.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int e) && e is > 0 and <= 100
            ? new Expectation(key, Bound.Close, value, value, e) : throw line.Error($"'{ScriptLine.Shorten(percent)}' is not a percentage; write for example 3%");
    }

    private static long Value(ScriptLine line, string text, ValueUnit unit)
    {
        if (unit == ValueUnit.Pages) return text == "0" ? 0 : line.SizeOf(text, "a size");
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long n) && n <= ScriptLine.MostPages ? n
            : throw line.Error($"'{ScriptLine.Shorten(text)}' is not a count; write a whole number");
    }
}
