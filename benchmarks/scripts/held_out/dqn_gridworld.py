"""Deep Q-learning on a windy grid, with a replay memory and a target network."""

import copy
import random
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 6
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))


class WindyGrid:
    """Reach the goal in a corner of the grid; each move costs, and wind turns some at random."""

    def __init__(self, wind=0.1, limit=40):
        self.wind, self.limit = wind, limit
        self.goal = (SIDE - 1, SIDE - 1)

    def reset(self):
        self.t = 0
        self.place = (random.randrange(SIDE - 1), random.randrange(SIDE - 1))
        return self.observation()

    def observation(self):
        return torch.tensor([2 * coordinate / (SIDE - 1) - 1 for coordinate in self.place])

    def step(self, action):
        if random.random() < self.wind:
            action = random.randrange(len(MOVES))
        self.place = tuple(
            min(max(c + d, 0), SIDE - 1) for c, d in zip(self.place, MOVES[action], strict=True)
        )
        self.t += 1
        done = self.place == self.goal
        return self.observation(), 1.0 if done else -0.05, done, self.t >= self.limit


class QNetwork(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, len(MOVES))

    def forward(self, state):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(state)))))


class Agent:
    def __init__(self, gamma=0.95, lr=1e-3, batch_size=64, sync_every=100, max_norm=None):
        self.policy = QNetwork()
        self.target = copy.deepcopy(self.policy).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=lr)
        self.memory = deque(maxlen=5000)
        self.gamma = gamma
        self.batch_size = batch_size
        self.sync_every = sync_every
        self.max_norm = max_norm
        self.updates = 0

    def act(self, state, epsilon=0.0):
        if random.random() < epsilon:
            return random.randrange(len(MOVES))
        with torch.no_grad():
            return self.policy(state).argmax().item()

    def learn(self):
        batch = random.sample(self.memory, self.batch_size)
        state, action, reward, next_state, done = zip(*batch, strict=True)
        reward, done = torch.tensor(reward), torch.tensor(done).float()
        with torch.no_grad():
            best = self.target(torch.stack(next_state)).max(dim=1).values
            expected = reward + self.gamma * (1 - done) * best
        q = self.policy(torch.stack(state)).gather(1, torch.tensor(action).unsqueeze(1))
        loss = F.smooth_l1_loss(q.squeeze(1), expected)
        self.optimizer.zero_grad()
        loss.backward()
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_norm)
        self.optimizer.step()
        self.updates += 1
        if self.updates % self.sync_every == 0:
            self.target.load_state_dict(self.policy.state_dict())
        return loss.item()


def average_return(agent, env, episodes=50):
    total = 0.0
    for _ in range(episodes):
        state, over = env.reset(), False
        while not over:
            state, reward, done, timeout = env.step(agent.act(state))
            total += reward
            over = done or timeout
    return total / episodes


def main():
    random.seed(0)
    torch.manual_seed(0)
    env, agent = WindyGrid(), Agent()
    state, losses = env.reset(), deque(maxlen=100)
    for step in range(1, 3001):
        epsilon = max(0.1, 1 - step / 2000)
        action = agent.act(state, epsilon)
        next_state, reward, done, timeout = env.step(action)
        agent.memory.append((state, action, reward, next_state, done))
        state = env.reset() if done or timeout else next_state
        if step > 500:
            losses.append(agent.learn())
        if step % 500 == 0 and losses:
            score = average_return(agent, env)
            print(f"step {step:5d}  loss {sum(losses) / len(losses):.4f}  return {score:.2f}")


if __name__ == "__main__":
    main()
