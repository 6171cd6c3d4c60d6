// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Each tidy rule finds a bad sample and leaves a good one alone.</summary>
public class TidyRulesBite
{
    [Theory]
    [InlineData("Interlocked.Increment(ref x);")]
    [InlineData("x = Volatile.Read(ref y);")]
    [InlineData("Thread.MemoryBarrier();")]
    [InlineData("System.Runtime.Intrinsics.X86.X86Base.Pause();")]
    [InlineData("Sse.Prefetch0(p);")]
    [InlineData("private volatile int stop;")]
    [InlineData("Thread.SpinWait(20);")]
    public void A_name_of_Machines_elsewhere_is_caught(string code)
    {
        Assert.Single(TidyRules.MachineNames(Sample("src/Allocator/Zone.cs", $"// fine\n{code}")), o => o.StartsWith("src/Allocator/Zone.cs:2:", StringComparison.Ordinal));
        Assert.Empty(TidyRules.MachineNames(Sample("src/Native/Cpu/Machine.cs", code)));
        Assert.Empty(TidyRules.MachineNames(Sample("src/Allocator/Zone.cs", "// as " + code + "\nstring s = \"" + code + "\";")));
    }

    [Theory]
    [InlineData("int tenantPages;")]
    [InlineData("void BillTenant() {}")]
    [InlineData("// TODO later")]
    [InlineData("throw new NotImplementedException();")]
    [InlineData("Debug.Assert(x > 0);")]
    [InlineData("AnsiConsole.WriteLine(x);")]
    [InlineData("Thread.SpinWait(1);")]
    [InlineData("see /home/someone/linux/mm")]
    [InlineData(@"C:\Users\someone")]
    public void A_banned_word_is_caught(string text) => Assert.NotEmpty(TidyRules.BannedWords(Sample("src/A.cs", text)));

    [Theory]
    [InlineData("a billion pages, a pagebill")]
    [InlineData("AnsiConsole.Create(settings)")]
    [InlineData("https://example.org/home/page and $HOME/work")]
    [InlineData("/sys/devices/system/node")]
    public void An_innocent_text_passes(string text) => Assert.Empty(TidyRules.BannedWords(Sample("src/A.cs", text)));

    [Fact]
    public void A_file_without_the_licence_line_is_caught()
    {
        Assert.Single(TidyRules.License(Sample("src/A.cs", "namespace A;\n// SPDX-License-Identifier: GPL-2.0-only")));
        Assert.Empty(TidyRules.License(Sample("src/A.cs", "// SPDX-License-Identifier: GPL-2.0-only\r\nnamespace A;")));
    }

    [Fact]
    public void A_long_line_and_a_long_file_are_caught_unless_the_file_explains_itself()
    {
        Assert.Single(TidyRules.Size(Sample("src/A.cs", new string('x', 181))));
        Assert.Single(TidyRules.Size(Sample("src/A.cs", new string('\n', 400))));
        Assert.Empty(TidyRules.Size(Sample("src/A.cs", "// Long because one table is one table.\n" + new string('\n', 400))));
    }

    [Fact]
    public void A_long_function_is_caught_whatever_its_form()
    {
        string body = string.Concat(Enumerable.Repeat("        x += \"{\".Length;\n", 70));
        Assert.Equal("src/A.cs Block", Assert.Single(LongIn($"    [Inline(1)]\n    static int Block(int a = 0)\n    {{\n{body}    }}")));
        Assert.Equal("src/A.cs Local", Assert.Single(LongIn($"    int Local<T>(T a) where T : unmanaged\n    {{\n{body}        void L() {{ }}\n    }}")));
        Assert.Equal("src/A.cs Expression", Assert.Single(LongIn($"    int Expression(int a) => a switch\n    {{\n{body}    }};")));
        Assert.Equal("src/A.cs Property", Assert.Single(LongIn($"    int Property\n    {{\n        get\n        {{\n{body}        }}\n    }}")));
    }

    [Fact]
    public void Long_types_tables_and_runs_of_short_functions_are_no_long_functions()
    {
        string rows = string.Concat(Enumerable.Repeat("        1,\n", 100));
        string many = string.Concat(Enumerable.Repeat("    int F(int a = 1) => a;\n    int G() { return 1; }\n    int H { get; set; } = 3;\n", 60));
        Assert.Empty(LongIn($"    static readonly int[] Table =\n    [\n{rows}    ];"));
        Assert.Empty(LongIn($"    static readonly int[] Table = new[]\n    {{\n{rows}    }};"));
        Assert.Empty(LongIn(many));
    }

    [Fact]
    public void An_ordering_comment_without_its_other_end_is_caught()
    {
        SourceFile a = Sample("src/A.cs", "// (A) pairs with (B) in B"), b = Sample("src/B.cs", "/// (B) pairs\n/// with (A) in\n/// A.cs");
        Assert.Empty(OrderingPairs.Offences([a, b]));
        Assert.Contains("does not say it back", Assert.Single(OrderingPairs.Offences([a, Sample("src/B.cs", "// (B) is not mentioned again")])), StringComparison.Ordinal);
        Assert.Equal(2, OrderingPairs.Offences([a, Sample("src/B.cs", "// (B) pairs with (C) in A")]).Count());
        Assert.Contains("no source file is called that", Assert.Single(OrderingPairs.Offences([a])), StringComparison.Ordinal);
    }

    [Fact]
    public void An_ordering_comment_within_one_file_needs_both_ends_there()
    {
        Assert.Empty(OrderingPairs.Offences([Sample("src/A.cs", "// (1) pairs with (2) and (3).\n// (2) pairs with (1)\n// (3) pairs with (1)\n")]));
        Assert.Single(OrderingPairs.Offences([Sample("src/A.cs", "// (1) pairs with (2), (3).\n// (2) pairs with (1)\n")]));
    }

    [Fact]
    public void A_reference_upwards_is_caught_in_code_and_in_projects()
    {
        Assert.Single(Dependencies.OfCode(Sample("src/Native/A.cs", "using MemcgNative.Allocator;")));
        Assert.Single(Dependencies.OfCode(Sample("src/Accounting/A.cs", "var x = MemcgNative.Bench.Program.X;")));
        Assert.Single(Dependencies.OfCode(Sample("bench/A.cs", "using MemcgNative.Tests.Unit;")));
        Assert.Empty(Dependencies.OfCode(Sample("src/Accounting/A.cs", "using MemcgNative.Allocator; // never MemcgNative.Bench")));
        Assert.Single(Dependencies.OfProject(Project("src/Native/Native.csproj", "../Allocator/Allocator.csproj")));
        Assert.Single(Dependencies.OfProject(Project("bench/Bench.csproj", @"..\tests\Torture\Torture.csproj")));
        Assert.Empty(Dependencies.OfProject(Project("src/Accounting/Accounting.csproj", "../Allocator/Allocator.csproj")));
    }

    [Fact]
    public void A_fixture_without_provenance_is_caught()
    {
        Assert.Single(Provenance("F/cxl/nodes", ("F/cxl/nodes", "0-1")));
        Assert.Single(Provenance("F/cxl/nodes", ("F/cxl/nodes", "0-1"), ("F/README.md", "Provenance of epyc")));
        Assert.Empty(Provenance("F/cxl/nodes", ("F/cxl/nodes", "0-1"), ("F/README.md", "Provenance of cxl")));
        Assert.Empty(Provenance("F/cxl/a/nodes", ("F/cxl/a/nodes", "0-1"), ("F/cxl/PROVENANCE", "synthetic: true")));
        Assert.Empty(Provenance("F/cxl/nodes", ("F/cxl/nodes", "0-1"), ("F/cxl/machine.json", "{ \"provenance\": \"a mail\" }")));
        Assert.Empty(Provenance("F/cxl.txt", ("F/cxl.txt", "# provenance: a mail of 2024\n0-1")));
    }

    [Fact]
    public void A_large_file_is_caught() =>
        Assert.Equal("big: 1048577 bytes", Assert.Single(TidyTests.TooLarge(["small", "big"], p => p == "big" ? (1 << 20) + 1 : 1 << 20)));

    [Fact]
    public void Blanking_keeps_every_column_and_line()
    {
        const string Text = "a /* b\n c */ d // e\n\"f\\\"\" + @\"g\"\"\" + '\\'' + \"\"\"h \" i\"\"\" + j";
        string code = CSharpText.CodeOnly(Text);
        Assert.Equal(Text.Length, code.Length);
        Assert.Equal("a\n d \n + + + + j".Split('\n').Select(l => l.Replace(" ", "", StringComparison.Ordinal)),
            code.Split('\n').Select(l => l.Replace(" ", "", StringComparison.Ordinal)));
    }

    private static SourceFile Sample(string path, string text) => new(path, text);

    private static IEnumerable<string> LongIn(string members) => TidyRules.LongFunctions(Sample("src/A.cs", $"namespace A;\n\nclass C : D\n{{\n{members}\n}}\n"));

    private static SourceFile Project(string path, string reference) =>
        Sample(path, $"<Project><ItemGroup><ProjectReference Include=\"{reference}\" /></ItemGroup></Project>");

    private static IEnumerable<string> Provenance(string file, params (string Path, string Text)[] there) =>
        Fixtures.WithoutProvenance("F", [file], path => there.FirstOrDefault(t => t.Path == path).Text);
}
