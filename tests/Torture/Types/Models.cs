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

    /// <summary>The model of a type's nth episode.</summary>
    public static Model At(int episode) => At(All, episode);

    private static Model[] List()
    {
        IEnumerable<Model> eras = Eras.All.Select(e => new Model(e.Name, e.Answers));
        IEnumerable<Model> others =
            from e in Eras.All
            from answer in Eras.Answers.Concat(tinyStocks.Select(s => new Answer(Axis.Stock, s, "torture")))
            where answer.Refused is null && e.Answers[(int)answer.Axis] != answer.Name
            where !IsPartOfBooks(answer.Axis) || e.Answers[(int)Axis.Lru] == "Books"
            select new Model(e.Name, [.. e.Answers.Select((a, i) => i == (int)answer.Axis ? answer.Name : a)]);
        return [.. eras.Concat(others).DistinctBy(m => string.Join(',', m.Answers)).Where(IsBuilt)];
    }

    /// <summary>Models in which a page changes its group while it is mapped, one for each way the list axis can be: what the books type runs.</summary>
    public static IReadOnlyList<Model> OfLists { get; } =
        [.. All.Where(m => m[Axis.PageCgroup] == "OwnerWord").DistinctBy(m => string.Join(',', m.Answers.Where((_, i) => IsPartOfLists((Axis)i))))];

    private static bool IsPartOfLists(Axis axis) => axis is Axis.Lru or Axis.LruLock || IsPartOfBooks(axis);

    /// <summary>
    /// Models that charge kernel objects, one for each way and counter, each way once before any comes again. Where page->memcg leads to an object
    /// (2008), kernel pages had no owner yet.
    /// </summary>
    public static IReadOnlyList<Model> OfKmem { get; } =
        [.. All.Where(m => m[Axis.Kmem] != "None")
            .Where(m => m[Axis.PageCgroup].EndsWith("Word", StringComparison.Ordinal) || m[Axis.PageCgroup].Contains("Array", StringComparison.Ordinal))
            .DistinctBy(m => (m[Axis.Kmem], m[Axis.Counter], m[Axis.Stock]))
            .GroupBy(m => m[Axis.Kmem]).SelectMany(same => same.Select((m, i) => (Model: m, Turn: Math.Min(i, 1)))).OrderBy(m => m.Turn).Select(m => m.Model)];

    /// <summary>Designs that a type knows, its first models: as many episodes as --ops gives it.</summary>
    public static int DesignsOf(string type) => Only is not null ? 1 : type switch
    {
        "kmem" => OfKmem.DistinctBy(m => m[Axis.Kmem]).Count(),
        "books" => OfLists.Count,
        "accounting" or "counters" => Eras.All.Count,
        _ => 1,
    };

    /// <summary>The nth of a list, or the only one.</summary>
    public static Model At(IReadOnlyList<Model> list, int episode) => Only ?? list[episode % list.Count];

    /// <summary>A sub-choice of lru=Books changes nothing elsewhere.</summary>
    private static bool IsPartOfBooks(Axis axis) => axis is Axis.LruSwitch or Axis.LruDestroy or Axis.LruSlice or Axis.LruPending;

    /// <summary>Whether Matrix binds it.</summary>
    public static bool IsBuilt(Model model)
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

/// <summary>Makes the books type of a model.</summary>
internal sealed class BooksMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new BooksTorture<TC>(model.ToString());
}

/// <summary>Makes the type of the last page of a model.</summary>
internal sealed class LastPageMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new LastPageTorture<TC>(model.ToString());
}

/// <summary>Makes the kmem type of a model.</summary>
internal sealed class KmemMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new KmemTorture<TC>(model.ToString());
}

/// <summary>Makes the counter type of a model.</summary>
internal sealed class CounterMaker(Model model) : IControllerUser<TortureType>
{
    public TortureType Use<TC>() where TC : struct, IMemoryController => new CounterTorture<TC>(model.ToString());
}
