// SPDX-License-Identifier: GPL-2.0-only
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A task on the kernel, from outside: the program once more, as a child that does what it is told.</summary>
[SupportedOSPlatform("linux")]
internal sealed class KernelTask : IDisposable
{
    /// <summary>A deed that takes longer means that reclaim is stuck.</summary>
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(3);
    private readonly Process process;

    private KernelTask(Process process, int cpu) => (this.process, Cpu) = (process, cpu);

    public int Cpu { get; }
    public int Pid => process.Id;

    /// <summary>How the last deed ended, as <see cref="ScriptGrammar.Ends"/> has it.</summary>
    public string End { get; private set; } = "ok";

    /// <summary>Not killed.</summary>
    public bool Alive { get; private set; } = true;

    /// <summary>Started, pinned and rehearsed; still in this process's group.</summary>
    /// <exception cref="OsException">It cannot be started or pinned.</exception>
    public static KernelTask Start(int cpu)
    {
        ProcessStartInfo info = OwnProgram.Start();
        info.RedirectStandardInput = info.RedirectStandardOutput = info.RedirectStandardError = true;
        info.ArgumentList.Add(KernelTaskCommand.Name);
        info.ArgumentList.Add(cpu.ToString(CultureInfo.InvariantCulture));
        info.Environment["DOTNET_gcServer"] = "0";
        info.Environment["DOTNET_GCHeapHardLimit"] = "0x4000000";
        Process process;
        try
        {
            process = Process.Start(info)!;
        }
        catch (Win32Exception e)
        {
            throw new OsException("execve", e.NativeErrorCode, $"cannot start {info.FileName} as a task");
        }
        var task = new KernelTask(process, cpu);
        if (task.Answer() == "ready") return task;
        string error = process.StandardError.ReadToEnd().Trim();
        task.Dispose();
        throw new OsException("execve", 0, error.Length > 0 ? error.Replace("memcgnative: ", "", StringComparison.Ordinal) : $"the task on CPU {cpu} did not start");
    }

    /// <summary>One deed; false when the task was killed by it.</summary>
    public bool Do(string deed)
    {
        if (!Alive) return false;
        string? answer;
        try
        {
            process.StandardInput.Write(deed + "\n");
            process.StandardInput.Flush();
            answer = Answer();
        }
        catch (IOException)
        {
            answer = null; // it died before
        }
        if (answer is null)
        {
            Alive = false;
            process.WaitForExit();
        }
        End = answer switch { "ok" => "ok", null => "killed", "errno 12" => "oom", _ => "busy" };
        return Alive;
    }

    /// <summary>A deed whose answer is taken by <see cref="Hear"/>: so that several tasks work at one time.</summary>
    public void Ask(string deed)
    {
        process.StandardInput.Write(deed + "\n");
        process.StandardInput.Flush();
    }

    /// <summary>The answer to <see cref="Ask"/>; null when the task was killed.</summary>
    public string? Hear() => Answer();

    private string? Answer()
    {
        Task<string?> line = process.StandardOutput.ReadLineAsync();
        if (line.Wait(patience)) return line.Result;
        process.Kill();
        throw new OsException("read", 0, $"a task gave no answer for {DurationText.Format(patience)}; the kernel may be reclaiming without end");
    }

    /// <summary>Ends it and waits until the kernel has taken it away.</summary>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            try
            {
                process.StandardInput.Write("end\n");
                process.StandardInput.Flush();
                if (!process.WaitForExit(TimeSpan.FromSeconds(10))) process.Kill();
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // it ended meanwhile
            }
            process.WaitForExit();
        }
        Alive = false;
        process.Dispose();
    }
}

/// <summary>The hidden command.</summary>
internal static class KernelTaskCommand
{
    public const string Name = "kernel-task";

    public static int Run(string cpu) => !OperatingSystem.IsLinux() ? ExitCode.NotHere
        : int.TryParse(cpu, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? KernelTaskMain.Run(n) : throw new UsageException($"{Name}: '{cpu}' is not a CPU");
}
