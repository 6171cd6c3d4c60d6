// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Every case the command knows. A list: a case that is not here does not exist, but for those of designs that announce themselves.</summary>
internal static class Cases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. LockCases.All,
        .. ListCases.All,
        .. RcuCases.All,
        .. CounterCases.All,
        .. StockCases.All,
        .. BookCases.All,
        .. SwapInCases.All,
        .. BookRaceCases.All,
        .. BookLifeCases.All,
        .. PerCpuRefCases.All,
        .. LifeCases.All,
        .. LocklessCases.All,
        .. UnchargeCases.All,
        .. ZoneCases.All,
        .. PageCacheCases.All,
        .. LastPutCases.All,
        .. KmemRaceCases.All,
        .. CopyCases.All,
        .. PointerRaceCases.All,
        .. ChargeRaceCases.All,
        .. ListRaceCases.All,
        .. ReparentCases.All,
        .. ObjectCases.All,
        .. ByteStockCases.All,
        .. OwnerLifeCases.All,
        .. AnnouncedCases.All,
        .. LitmusCases.All,
    ];

    /// <summary>The cases of an id, a name or a prefix of a name ending at a slash; of a design, or of all those a model names.</summary>
    public static IReadOnlyList<Case> Find(string name, string? design = null, Model? model = null) =>
        [.. All.Where(c => (c.Id.Equals(name, StringComparison.OrdinalIgnoreCase) || c.Name.Equals(name, StringComparison.OrdinalIgnoreCase)
            || c.Name.StartsWith(name + "/", StringComparison.OrdinalIgnoreCase)) && (design is null || c.Design == design) && (model is null || Explores(c, model)))];

    /// <summary>The words of the case's design that are answers are all the model's, and there is one.</summary>
    private static bool Explores(Case c, Model model)
    {
        (Axis, string)[] answers = [.. c.Design.Split(',').SelectMany(word => Eras.Answers.Where(a => a.Name == word && a.Name != "None").Select(a => (a.Axis, a.Name)))];
        return answers.Length > 0 && answers.All(a => model[a.Item1] == a.Item2);
    }
}
