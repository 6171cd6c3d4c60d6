// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>What the numbers of a list stand for.</summary>
internal sealed class ListDomain
{
    /// <summary>"CPU", "node", "L3 domain": as in messages.</summary>
    internal required string Name { get; init; }
    /// <summary>Continues the sentence "write for example".</summary>
    internal required string Example { get; init; }
    /// <summary>What "all" means, what "!" is taken from and "+" counts in; ascending.</summary>
    internal required int[] Usable { get; init; }
    /// <summary>Why a number cannot be named, or null. The flag: it is named in order to be left out.</summary>
    internal required Func<int, bool, string?> Refuse { get; init; }
    /// <summary>What a number contributes to the outer list.</summary>
    internal required Func<int, IEnumerable<int>> Expand { get; init; }
}

/// <summary>
/// The one grammar for lists of CPUs and of nodes:
/// <code>
/// list     = ["!"] ( "all" | item {"," item} )
/// item     = ["+"] n [ "-" n [ ":" stride ] ]  |  selector
/// selector = ( "node" | "socket" | "l3" | "core" | "smt" ) ":" list
/// </code>
/// A selector's list takes all numbers up to the next selector or the end: <c>core:0,2,4</c> is three cores, <c>node:0,l3:1</c> two selectors;
/// plain numbers stand before the first selector. "!" stands at the beginning of the whole list or of a selector's list and inverts exactly
/// that. "+n" counts in what this process may use. Spaces around an item do not matter.
/// </summary>
internal sealed class ListParser(string text, ListDomain numbers, Func<string, ListDomain?> selector)
{
    private readonly SortedSet<int> _result = [];
    private readonly SortedSet<int> _run = [];
    private readonly ListDomain _numbers = numbers;
    private ListDomain _domain = numbers;
    private bool _inverted, _runInverted, _runIsAll, _runIsEmpty = true;

    internal SortedSet<int> Parse()
    {
        if (text.Trim().Length == 0)
            throw new UsageException($"the list is empty; write for example {_numbers.Example}");
        for (int start = 0, end; start <= text.Length; start = end + 1)
        {
            end = text.IndexOf(',', start) is var comma and >= 0 ? comma : text.Length;
            var from = start;
            Skip(ref from, end);
            if (start == 0 && from < end && text[from] == '!')
            {
                _inverted = true;
                from++;
                Skip(ref from, end);
            }
            var colon = text.IndexOf(':', from, end - from);
            if (colon > from && selector(text[from..colon].ToLowerInvariant()) is { } chosen)
            {
                EndRun();
                _domain = chosen;
                from = colon + 1;
                Skip(ref from, end);
                if (from < end && text[from] == '!')
                {
                    _runInverted = true;
                    from++;
                    Skip(ref from, end);
                }
            }
            var item = text[from..end].TrimEnd();
            if (_runIsAll || (item == "all" && !_runIsEmpty))
                throw new UsageException($"'{ListText.Shown(item)}' at column {from + 1}: 'all' stands alone in its list");
            if (item == "all")
                (_runIsAll, _runIsEmpty) = (true, false);
            else
                Item(item, from + 1);
        }
        EndRun();
        if (_inverted)
            _result.SymmetricExceptWith(_numbers.Usable.Union(_result));   // usable without what was named
        if (_result.Count == 0)
            throw new UsageException($"'{ListText.Shown(text.Trim())}' leaves no {_numbers.Name} (usable: {ListText.Format(_numbers.Usable)})");
        return _result;
    }

    private void Skip(ref int at, int end)
    {
        while (at < end && char.IsWhiteSpace(text[at]))
            at++;
    }

    private void EndRun()
    {
        if (!_runIsEmpty)
        {
            IEnumerable<int> members = _runIsAll ? _domain.Usable : _run;
            foreach (var n in _runInverted ? _domain.Usable.Except(members) : members)
                _result.UnionWith(_domain.Expand(n));
        }
        _run.Clear();
        (_runInverted, _runIsAll, _runIsEmpty) = (false, false, true);
    }

    private void Item(string item, int column)
    {
        var rest = item.AsSpan();
        var relative = rest.StartsWith("+");
        if (relative)
            rest = rest[1..];
        long last = 0, stride = 1;
        var good = Number(ref rest, out var first);
        if (good && rest.StartsWith("-"))
        {
            rest = rest[1..];
            good = Number(ref rest, out last);
            if (good && rest.StartsWith(":"))
            {
                rest = rest[1..];
                good = Number(ref rest, out stride);
            }
        }
        else
            last = first;
        if (!good || !rest.IsEmpty)
            throw new UsageException(item.StartsWith('!')
                ? $"'{ListText.Shown(item)}' at column {column}: '!' inverts a whole list and stands once, at its beginning"
                : $"'{ListText.Shown(item)}' at column {column} is not a {_domain.Name} number or range; write for example {_domain.Example}");
        if (last < first)
            throw new UsageException($"'{ListText.Shown(item)}' at column {column} runs backwards; write {(relative ? "+" : "")}{last}-{first}");
        if (stride == 0)
            throw new UsageException($"'{ListText.Shown(item)}' at column {column} has stride 0; a stride is 1 or more");
        for (var n = first; n <= last; n += stride)
            _run.Add(Checked(n, relative, item, column));
        _runIsEmpty = false;
    }

    /// <summary>Refuses the first number that is not there, so an absurd range ends at once.</summary>
    private int Checked(long n, bool relative, string item, int column)
    {
        if (relative)
            return n < _domain.Usable.Length ? _domain.Usable[n]
                : throw new UsageException($"'{ListText.Shown(item)}' at column {column} counts past the "
                    + $"{_domain.Usable.Length} usable here ({ListText.Format(_domain.Usable)}); the first is +0", ofThisMachine: true);
        var number = (int)Math.Min(n, int.MaxValue);
        return _domain.Refuse(number, _inverted || _runInverted) is { } why ? throw new UsageException(why, ofThisMachine: true) : number;
    }

    private static bool Number(ref ReadOnlySpan<char> rest, out long n)
    {
        var digits = 0;
        while (digits < rest.Length && char.IsAsciiDigit(rest[digits]))
            digits++;
        if (!long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out n) || n > int.MaxValue)
            n = int.MaxValue;   // too large to exist, which is what the message then says
        rest = rest[digits..];
        return digits > 0;
    }
}
