// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A kind of list work: the five that take a page's list lock (spec 2.1), and who gets in their way.</summary>
internal enum ListWorkKind
{
    /// <summary>A page added through the CPU's pagevec; each 32nd carries release_pages of 32.</summary>
    Add,
    /// <summary>32 pages isolated from the tail, as reclaim does, and put back.</summary>
    Isolate,
    /// <summary>64 neighbouring frames looked at by pfn, at most 32 pages taken, whosever they are, and put back.</summary>
    Walk,
    /// <summary>14 pages written back; the end of it rotates them in the CPU's irq role.</summary>
    Rotate,
    /// <summary>14 pages activated; 32 deactivated first when most are active.</summary>
    Activate,
    /// <summary>move_account of one page between the worker's group and its child: the switcher.</summary>
    Move,
    /// <summary>The worker's child is removed, whatever of it is left, and a new one made: the destroyer.</summary>
    Group,
}

/// <summary>How often each kind of list work is done, as weights.</summary>
internal sealed record ListShares(IReadOnlyList<int> Weights)
{
    private const int MostWeight = 1000;

    /// <summary>What lru-churn does unless told: a page is added far more often than moved, and moved more often than a group dies.</summary>
    public static ListShares Default { get; } = new([700, 80, 60, 50, 60, 40, 10]);

    /// <summary>One kind alone.</summary>
    public static ListShares Only(ListWorkKind kind) => new([.. Names.Select((_, i) => i == (int)kind ? 1 : 0)]);

    /// <summary>Kinds as users write them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Enum.GetNames<ListWorkKind>().Select(n => n.ToLowerInvariant())];

    /// <summary>Reads add=60,isolate=20,...; a kind that is not named is not done.</summary>
    /// <exception cref="UsageException">A kind that is not known or is named twice, a weight that is none, or nothing to do.</exception>
    public static ListShares Parse(string text)
    {
        var weights = new int[Names.Count];
        var named = new HashSet<string>();
        foreach (string part in text.Split(','))
        {
            string[] pair = part.Split('=');
            string kind = pair[0].Trim();
            int at = Names.ToList().IndexOf(kind);
            if (at < 0) throw new UsageException($"--share: '{kind}' is no kind of list work{Nearest.Hint(kind, Names)} Known: {string.Join(", ", Names)}");
            if (!named.Add(kind)) throw new UsageException($"--share: {kind} is named twice; name each kind once");
            if (pair.Length != 2 || !int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out weights[at]) || weights[at] > MostWeight)
                throw new UsageException($"--share: '{part.Trim()}' is not a kind and a weight of 0 to {MostWeight}; write for example add=60,isolate=20");
        }
        return weights.Any(w => w > 0) ? new ListShares(weights) : throw new UsageException("--share: every weight is 0; give at least one kind a weight");
    }

    /// <summary>
    /// Fills a deck with kinds in proportion (each with a weight at least once) and shuffles it: a worker that goes through it again and again
    /// does exactly these shares, and the choice of the next step costs one load.
    /// </summary>
    public unsafe void Deal(byte* deck, int cards, ulong seed)
    {
        long total = Weights.Sum(w => (long)w), dealt = 0;
        var kinds = new int[cards];
        int last = 0, at = 0;
        for (int kind = 0; kind < Weights.Count; kind++)
        {
            if (Weights[kind] == 0) continue;
            dealt += Weights[kind];
            int end = Math.Max(at + 1, (int)(dealt * cards / total));
            for (; at < Math.Min(end, cards); at++) kinds[at] = kind;
            last = kind;
        }
        for (; at < cards; at++) kinds[at] = last;
        new SeededRandom(seed).Shuffle(kinds);
        for (int i = 0; i < cards; i++) deck[i] = (byte)kinds[i];
    }

    /// <summary>As <see cref="Parse"/> takes it.</summary>
    public override string ToString() => string.Join(',', Names.Zip(Weights).Where(p => p.Second > 0).Select(p => $"{p.First}={p.Second}"));
}
