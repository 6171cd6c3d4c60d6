// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// Nothing leaks in any era: two threads do mixed operations, and at the end all pages, page_cgroups, groups and swap entries are back. Short by
/// default; the long form is MEMCGNATIVE_OPERATIONS=10000000 ./build.sh test Unit --filter-class "*MixedOperationsTests*", of some eras
/// MEMCGNATIVE_ERAS=3.3,3.17 with it.
/// </summary>
public sealed class MixedOperationsTests
{
    public const string Variable = "MEMCGNATIVE_OPERATIONS";

    private static int Operations => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : 4000;

    private static readonly string[]? wanted = Environment.GetEnvironmentVariable("MEMCGNATIVE_ERAS")?.Split(',');

    public static TheoryData<string> AllEras => [.. Eras.All.Select(e => e.Name).Where(e => wanted is null || wanted.Contains(e))];

    [Theory, MemberData(nameof(AllEras))]
    public void All_pages_objects_references_and_swap_entries_come_back(string era) => Matrix.Bind(Model.Parse(era), new Mixed(Eras.Find(era)!.Declares(CounterKind.Memsw)));

    private sealed class Mixed(bool swapAccounting) : IControllerUser<bool>
    {
        public bool Use<TC>() where TC : struct, IMemoryController
        {
            SwapStressTests.Run<TC>(swapAccounting, Operations / SwapStressTests.Workers);
            return true;
        }
    }
}
