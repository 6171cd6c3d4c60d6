// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Marks a static, non-generic method whose machine code is counted: a row of the golden table. Callees it inlines count with it.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class HotPathAttribute : Attribute;

/// <summary>The machine code of one method as the JIT printed it.</summary>
internal sealed partial record Listing(string Method, IReadOnlyList<string> Instructions)
{
    /// <summary>Without the frame and the return, which a caller that inlines it does not pay.</summary>
    public IReadOnlyList<string> Body => [.. Instructions.Where(i => !Frame().IsMatch(i))];

    /// <summary>Instructions that lock the bus or the line; xchg with memory does so without the prefix.</summary>
    public int Locked => Instructions.Count(i => LockedForm().IsMatch(i));

    public int Calls => Instructions.Count(i => CallForm().IsMatch(i));

    [GeneratedRegex(@"^(push rbp|pop rbp|mov rbp, rsp|vzeroupper|ret)$")]
    private static partial Regex Frame();

    [GeneratedRegex(@"^lock\b|^xchg .*\[")]
    private static partial Regex LockedForm();

    [GeneratedRegex(@"^(call|tail\.jmp|rex\.jmp|jmp \[)")]
    private static partial Regex CallForm();
}

/// <summary>
/// Asks the release JIT for the code of methods: this executable runs itself as a child, with DOTNET_JitDisasm set and MEMCGNATIVE_PROBE
/// naming the methods, and the child compiles them before it would run a test. All CPUs get the code of x86-64-v2, so that one table holds everywhere.
/// </summary>
internal static partial class HotPath
{
    private const string ProbeVariable = "MEMCGNATIVE_PROBE";

    public static Listing Disassemble(MethodInfo method) => Disassemble([method])[0];

    public static IReadOnlyList<Listing> Disassemble(IReadOnlyList<MethodInfo> methods)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
            Assert.Skip($"instructions are read on x64 only; this is {RuntimeInformation.ProcessArchitecture}");
        string output = Path.GetTempFileName();
        try
        {
            RunChild(methods, output);
            Dictionary<string, Listing> found = Parse(File.ReadAllText(output));
            return [.. methods.Select(m => found.TryGetValue(Id(m), out Listing? l) ? l
                : throw new InvalidOperationException($"the JIT printed nothing for {Id(m)}; it printed: {string.Join(", ", found.Keys)}"))];
        }
        finally
        {
            File.Delete(output);
        }
    }

    /// <summary>Listings by Type:Method.</summary>
    public static Dictionary<string, Listing> Parse(string text)
    {
        var found = new Dictionary<string, Listing>(StringComparer.Ordinal);
        List<string>? current = null;
        foreach (string line in text.Split('\n'))
        {
            Match header = Header().Match(line);
            if (header.Success) found[header.Groups[1].Value] = new Listing(header.Groups[1].Value, current = []);
            else if (current is not null && Instruction().IsMatch(line))
            {
                string instruction = Spaces().Replace(line.Split(';')[0].Trim(), " ");
                if (current is [.., "lock"]) current[^1] = "lock " + instruction; // the JIT prints the prefix on a line of its own
                else current.Add(instruction);
            }
        }
        return found;
    }

    [ModuleInitializer]
    internal static void ProbeAndExit()
    {
        if (Environment.GetEnvironmentVariable(ProbeVariable) is not { Length: > 0 } probe) return;
        const BindingFlags Any = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
        foreach (string[] name in probe.Split(' ').Select(id => id.Split(':')))
        {
            Type type = typeof(HotPath).Assembly.GetType(name[0], throwOnError: true)!;
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);
            RuntimeHelpers.PrepareMethod(type.GetMethod(name[1], Any)!.MethodHandle);
        }
        Environment.Exit(0);
    }

    private static string Id(MethodInfo method) => $"{method.DeclaringType!.FullName}:{method.Name}";

    private static void RunChild(IReadOnlyList<MethodInfo> methods, string output)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardError = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add("exec");
            start.ArgumentList.Add(typeof(HotPath).Assembly.Location);
        }
        start.Environment[ProbeVariable] = string.Join(' ', methods.Select(Id));
        start.Environment["DOTNET_JitDisasm"] = string.Join(' ', methods.Select(m => m.Name));
        start.Environment["DOTNET_JitStdOutFile"] = output;
        start.Environment["DOTNET_EnableAVX"] = "0";
        start.Environment["DOTNET_TieredCompilation"] = "0";
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        if (child.ExitCode != 0) throw new InvalidOperationException($"the probe exited with {child.ExitCode}: {errors.Result}");
    }

    [GeneratedRegex(@"^; Assembly listing for method ([^(\[]+)")]
    private static partial Regex Header();

    [GeneratedRegex(@"^\s+[a-z]")]
    private static partial Regex Instruction();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
