// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class GoldenTests
{
    private const BindingFlags Any = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    // One child process for all of them.
    private static readonly Lazy<Dictionary<string, Listing>> HotPaths = new(() =>
    {
        MethodInfo[] methods = [.. typeof(GoldenTests).Assembly.GetTypes().SelectMany(t => t.GetMethods(Any)).Where(m => m.IsDefined(typeof(HotPathAttribute)))];
        return methods.Zip(HotPath.Disassemble(methods)).ToDictionary(p => $"{p.First.DeclaringType!.Name}.{p.First.Name}", p => p.Second);
    });

    [Theory]
    [InlineData(nameof(CellPaths.GuardedGet))]
    [InlineData(nameof(CellPaths.GuardedSet))]
    [InlineData(nameof(CellPaths.GuardedPtrGet))]
    [InlineData(nameof(CellPaths.AtomicLoad))]
    [InlineData(nameof(CellPaths.AtomicStore))]
    [InlineData(nameof(CellPaths.AtomicPtrLoad))]
    public void An_access_to_a_cell_is_one_mov(string method)
    {
        IReadOnlyList<string> body = Code(method).Body;
        Assert.Matches(@"^mov(sxd)? .*\[", Assert.Single(body));
    }

    [Theory]
    [InlineData(nameof(CellPaths.AtomicAdd))]
    [InlineData(nameof(CellPaths.AtomicOr))]
    [InlineData(nameof(CellPaths.AtomicExchange))]
    [InlineData(nameof(CellPaths.AtomicFetchOr))]
    public void A_read_modify_write_locks_once_and_calls_nobody(string method)
    {
        Assert.Equal(1, Code(method).Locked);
        Assert.Equal(0, Code(method).Calls);
    }

    [Theory]
    [InlineData(nameof(AllocatorPaths.PageAlloc))]
    [InlineData(nameof(AllocatorPaths.PageFree))]
    [InlineData(nameof(AllocatorPaths.ObjectAlloc))]
    [InlineData(nameof(AllocatorPaths.ObjectFree))]
    public void A_per_cpu_hit_of_the_allocator_locks_nothing_and_multiplies_nothing(string method)
    {
        Listing code = HotPaths.Value[$"{nameof(AllocatorPaths)}.{method}"];
        Assert.Equal(0, code.Locked);
        Assert.DoesNotContain(code.Instructions, i => i.StartsWith("imul", StringComparison.Ordinal) || i.StartsWith("idiv", StringComparison.Ordinal));
    }

    [Fact]
    public void The_hooks_of_the_explorer_leave_no_trace() => Assert.Empty(Code(nameof(CellPaths.LifeOfMemory)).Body);

    [Fact]
    public void The_hot_paths_have_the_instructions_of_the_golden_table()
    {
        Dictionary<string, Listing> found = HotPaths.Value;
        string path = Path.Combine(Repository.Root, GoldenTable.Path);
        if (Environment.GetEnvironmentVariable(GoldenTable.Regenerate) == "1")
            File.WriteAllText(path, GoldenTable.Print(found.Select(f => GoldenRow.Of(f.Key, f.Value))));
        if (!File.Exists(path)) Assert.Skip($"no {GoldenTable.Path}; with {GoldenTable.Regenerate}=1 the test writes it");
        Offences.None(GoldenTable.Differences(GoldenTable.Parse(File.ReadAllText(path)), found));
    }

    [Fact]
    public void One_instruction_more_is_caught_and_so_are_new_and_lost_rows()
    {
        var found = new Dictionary<string, Listing> { ["A.B"] = new("A:B", ["lock inc dword ptr [rdi]", "xchg dword ptr [rdi], eax", "call [X]", "ret"]) };
        GoldenRow row = GoldenRow.Of("A.B", found["A.B"]);
        Assert.Equal(new GoldenRow("A.B", 4, 2, 1), row);
        Assert.Empty(GoldenTable.Differences(GoldenTable.Parse(GoldenTable.Print([row])), found));
        Assert.Single(GoldenTable.Differences([row with { Instructions = 3 }], found));
        Assert.Single(GoldenTable.Differences([row with { Locked = 1 }], found));
        Assert.Single(GoldenTable.Differences([], found));
        Assert.Single(GoldenTable.Differences([row, row with { Method = "A.Gone" }], found));
    }

    [Fact]
    public void A_prefix_on_its_own_line_belongs_to_the_next_instruction()
    {
        const string Text = "; Assembly listing for method A.B:C(int,ptr):int (FullOpts)\n; rsp based frame\n\nG_M1_IG01:      ;; offset=0x0000\n"
            + "       lock     \n       inc      qword ptr [rdi]\n       ret      \n\n; Total bytes of code 4\n";
        Assert.Equal(["lock inc qword ptr [rdi]", "ret"], HotPath.Parse(Text)["A.B:C"].Instructions);
    }

    [Fact]
    public void An_access_that_is_more_than_one_mov_is_seen() =>
        Assert.NotEqual(1, HotPath.Disassemble(typeof(GoldenTests).GetMethod(nameof(BustedGet), Any)!).Body.Count);

    private static long BustedGet(long* p) => p[0] + p[1];

    private static Listing Code(string method) => HotPaths.Value[$"{nameof(CellPaths)}.{method}"];
}
