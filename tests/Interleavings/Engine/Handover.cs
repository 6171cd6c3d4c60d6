// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How the processor passes from one agent's stack to another's.</summary>
internal interface IHandover
{
    /// <summary>Runs agents 0..n-1 to their first step, then whomever <see cref="Run.Next"/> names until it names nobody.</summary>
    void Run(int agents);

    /// <summary>Leaves this agent for <see cref="Interleavings.Run.Next"/>; returns when it is this agent's turn again.</summary>
    void SwitchFrom(int agent);

    /// <summary>Leaves this agent for good.</summary>
    [DoesNotReturn]
    void Abandon(int agent);
}

/// <summary>Unwinds a thread whose execution is over.</summary>
internal sealed class AbandonedException : Exception;

/// <summary>The root of every agent's stack.</summary>
internal static partial class AgentRoot
{
    public static void Enter(int agent)
    {
        try
        {
            Interleavings.Run.Body(agent);
        }
        catch (AbandonedException)
        {
            throw;
        }
        catch (BugException e)
        {
            Interleavings.Run.Record(Verdict.Assert, e.Message, 0);
        }
        catch (Exception e)
        {
            Interleavings.Run.Record(Verdict.Exception, $"{e.GetType().Name} on {Interleavings.Run.AgentName(agent)}: {e.Message} {FirstFrame(e)}", 0);
        }
        Interleavings.Run.Finished(agent);
    }

    private static string FirstFrame(Exception e) => e.StackTrace is { } trace ? Frame().Replace(trace.Split('\n', 2)[0].Trim(), "in $1:") : "";

    /// <summary>" in /where/it/was/built/File.cs:line 81" without the place.</summary>
    [GeneratedRegex(@"in .*?([^/\\]+\.cs):line ")]
    private static partial Regex Frame();
}
