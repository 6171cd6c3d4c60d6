// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Cases of designs that announce themselves: a counter is charged, given back and limited (<see cref="CounterCases"/>), an answer of another question
/// is put into the first era it goes with and shown the races of a page that hold for every answer.
/// </summary>
internal static class AnnouncedCases
{
    public static IReadOnlyList<Case> All { get; } =
        [.. Announced.All.SelectMany(a => a.Answer.Axis == Axis.Counter ? CounterCases.Of(a.Design, a.Answer.Name) : Of(a.Answer.Axis, a.Answer.Name))];

    /// <summary>The cases of one answer by name; none for counters' stocks, lock kinds, parts of books and kernel memory, which no case of a page asks.</summary>
    public static IReadOnlyList<Case> Of(Axis axis, string name) =>
        axis is Axis.PageCgroup or Axis.Lru or Axis.Uncharge or Axis.Residents && Host(axis, name) is { } model ? Matrix.Bind(model, new Maker(name)) : [];

    /// <summary>3.19 with the answer in it, or the newest era it goes with; without a stock and with the simplest lock, which are not the question.</summary>
    private static Model? Host(Axis axis, string name)
    {
        foreach (Era era in Eras.All.Where(e => e.Name == "3.19").Concat(Eras.All.Reverse()))
        {
            var model = new Model(era.Name, [.. era.Answers.Select((was, i) => (Axis)i == axis ? name : (Axis)i == Axis.Stock ? "None" : (Axis)i == Axis.LruLock ? "tas" : was)]);
            if (Eras.WhyNot(model) is null) return model;
        }
        return null;
    }

    private sealed class Maker(string design) : IControllerUser<IReadOnlyList<Case>>
    {
        public IReadOnlyList<Case> Use<TC>() where TC : struct, IMemoryController =>
        [
            Case.Of<PageCase<TC, MigrateAgainstPut>>("C1", design, "1m1p"),
            Case.Of<PageCase<TC, ReclaimAgainst<N0>>>("C2", design, "1g1r"),
            Case.Of<PageCase<TC, TwoSwapIns>>("swap-in", design, "2f"),
            Case.Of<PageCase<TC, FaultAgainstTruncate>>("file-truncate", design, "1f1t"),
        ];
    }
}
