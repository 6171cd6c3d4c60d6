// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>Every case the command knows. A list, no reflection: a case that is not here does not exist.</summary>
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
        .. PerCpuRefCases.All,
        .. LifeCases.All,
        .. LocklessCases.All,
        .. LitmusCases.All,
    ];

    /// <summary>The cases of an id, a name or a prefix of a name ending at a slash.</summary>
    public static IReadOnlyList<Case> Find(string name, string? design) =>
        [.. All.Where(c => (c.Id.Equals(name, StringComparison.OrdinalIgnoreCase) || c.Name.Equals(name, StringComparison.OrdinalIgnoreCase)
            || c.Name.StartsWith(name + "/", StringComparison.OrdinalIgnoreCase)) && (design is null || c.Design == design))];
}
