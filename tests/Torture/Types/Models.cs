// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Every combination the torture runs: each era as it is, each era with one answer replaced by any other that is built, each also with
/// stocks of two pages. A new answer in Eras is here without a line; a combination Matrix refuses is left out.
/// </summary>
internal static class Models
{
    private static readonly string[] tinyStocks = ["SingleSlot2", "SevenSlot2"];

    /// <summary>Eras first, then single answers, in the order of Eras.</summary>
    public static IReadOnlyList<Model> All { get; } = List();

    /// <summary>The one model to run (--model), or all.</summary>
    public static Model? Only { get; set; }

    /// <summary>One model per answer of the kmem axis that charges.</summary>
    public static IReadOnlyList<Model> Kmem { get; } = [.. All.Where(m => m[Axis.Kmem] != NoKmem.Name).DistinctBy(m => m[Axis.Kmem])];

    /// <summary>The kmem model of the nth episode.</summary>
    public static Model KmemAt(int episode) => Only is { } only && only[Axis.Kmem] != NoKmem.Name ? only : Kmem[episode % Kmem.Count];

    /// <summary>The model of a type's nth episode.</summary>
    public static Model At(int episode) => Only ?? All[episode % All.Count];

    private static Model[] List()
    {
        IEnumerable<Model> eras = Eras.All.Select(e => new Model(e.Name, e.Answers));
        IEnumerable<Model> others =
            from e in Eras.All
            from answer in Eras.Answers.Concat(tinyStocks.Select(s => new Answer(Axis.Stock, s, "torture")))
            where e.Answers[(int)answer.Axis] != answer.Name
            select new Model(e.Name, [.. e.Answers.Select((a, i) => i == (int)answer.Axis ? answer.Name : a)]);
        return [.. eras.Concat(others).DistinctBy(m => string.Join(',', m.Answers)).Where(Built)];
    }

    private static bool Built(Model model)
    {
        try
        {
            return Matrix.Bind(model, new Nothing());
        }
        catch (UsageException)
        {
            return false;
        }
    }

    private sealed class Nothing : IControllerUser<bool>
    {
        public bool Use<TC>() where TC : struct, IMemoryController => true;
    }
}

/// <summary>Makes the accounting type of a model.</summary>
internal sealed class AccountingMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new AccountingTorture<TC>(model.ToString());
}

/// <summary>Makes the counter type of a model.</summary>
internal sealed class CounterMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new CounterTorture<TC>(model.ToString());
}

/// <summary>Makes the kmem type of a model.</summary>
internal sealed class KmemMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new KmemTorture<TC>(model.ToString());
}
