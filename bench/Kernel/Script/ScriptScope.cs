// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>Which names a scenario has at a line, so that a wrong one is found before anything runs.</summary>
internal sealed class ScriptScope
{
    private const int MostDepth = 16;
    private readonly HashSet<string> groups = [];
    private readonly Dictionary<string, string> tasks = [];
    private readonly Dictionary<string, (string Task, Verb Kind, bool Orphan)> regions = [];
    private readonly HashSet<string> everTasks = [];

    public IEnumerable<string> Groups => groups.Order(StringComparer.Ordinal);
    public IEnumerable<string> Tasks => tasks.Keys.Order(StringComparer.Ordinal);
    public bool HasGroup(string name) => groups.Contains(name);

    /// <summary>A task that is there, or was: what became of its last deed can still be asked.</summary>
    public bool HasTask(string name) => everTasks.Contains(name);

    public string Group(ScriptLine line)
    {
        string path = line.Path();
        return groups.Contains(path) ? path : throw line.Unknown("group", path, [.. Groups]);
    }

    public string Task(ScriptLine line)
    {
        string name = line.Name("a task");
        return tasks.ContainsKey(name) ? name : throw line.Unknown("task", name, [.. Tasks]);
    }

    public string Region(ScriptLine line)
    {
        string name = line.Name("a region");
        return regions.ContainsKey(name) ? name : throw line.Unknown("region", name, [.. regions.Keys.Order(StringComparer.Ordinal)]);
    }

    /// <summary>What the names are after the step.</summary>
    public void Apply(ScriptLine line, ScriptStep s)
    {
        switch (s.Verb)
        {
            case Verb.Group:
                Add(line, s.Subject);
                break;
            case Verb.Remove:
                if (groups.FirstOrDefault(g => g.StartsWith(s.Subject + "/", StringComparison.Ordinal)) is { } child)
                    throw line.Error($"{s.Subject} has a child, {child}; remove it first");
                if (tasks.FirstOrDefault(t => t.Value == s.Subject) is { Key: { } task }) throw line.Error($"task {task} is in {s.Subject}; move it or let it exit first");
                groups.Remove(s.Subject);
                break;
            case Verb.Task:
                if (groups.Contains(s.Subject)) throw line.Error($"'{s.Subject}' is a group; give the task another name");
                if (!tasks.TryAdd(s.Subject, s.Object)) throw line.Error($"task {s.Subject} is there already");
                everTasks.Add(s.Subject);
                break;
            case Verb.Move:
                tasks[s.Subject] = s.Object;
                break;
            case Verb.Exit:
                tasks.Remove(s.Subject);
                foreach ((string name, (string owner, Verb kind, bool _)) in regions.Where(r => r.Value.Task == s.Subject).ToArray())
                    if (kind is Verb.File or Verb.Dentries) regions[name] = (owner, kind, true);
                    else regions.Remove(name);
                break;
            case Verb.Map or Verb.Anon or Verb.Shm or Verb.File or Verb.Pipes or Verb.Dentries:
                if (!regions.TryAdd(s.Object, (s.Subject, s.Verb, false))) throw line.Error($"region {s.Object} is there already; free it first");
                break;
            case Verb.Touch:
                if (regions[s.Subject].Kind != Verb.Map) throw line.Error($"region {s.Subject} is not from 'map', so all of it is touched already");
                break;
            case Verb.Migrate:
                if (regions[s.Subject].Kind is not (Verb.Anon or Verb.Map or Verb.Shm)) throw line.Error($"region {s.Subject} holds no pages that migrate; anon, map and shm do");
                break;
            case Verb.Free:
                regions.Remove(s.Subject);
                break;
            default:
                break;
        }
    }

    private void Add(ScriptLine line, string path)
    {
        int slash = path.LastIndexOf('/');
        if (slash >= 0 && !groups.Contains(path[..slash])) throw line.Unknown("group", path[..slash], [.. Groups]);
        if (path.Count(c => c == '/') >= MostDepth) throw line.Error($"{path}: at most {MostDepth} levels");
        if (everTasks.Contains(path) || path == "dying") throw line.Error($"'{path}' means something else in expect; give the group another name");
        if (!groups.Add(path)) throw line.Error($"group {path} is there already");
    }
}
