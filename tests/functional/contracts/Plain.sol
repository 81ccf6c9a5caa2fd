// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/*
 * A plain ERC-20 token: a transfer above the balance reverts, a transfer of
 * nothing is logged, also «from» a stranger who allowed nothing.
 */
contract Plain {
	string public constant name = "Plain Test Token";
	string public constant symbol = "PLN";
	uint8 public constant decimals = 6;
	uint256 public totalSupply;
	mapping(address => uint256) public balanceOf;
	mapping(address => mapping(address => uint256)) public allowance;

	event Transfer(address indexed from, address indexed to, uint256 value);
	event Approval(address indexed owner, address indexed spender, uint256 value);

	constructor() {
		mint(msg.sender, type(uint256).max / 2);
	}

	/* Anybody may: it is a test token. */
	function mint(address to, uint256 value) public {
		totalSupply += value;
		balanceOf[to] += value;
		emit Transfer(address(0), to, value);
	}

	function transfer(address to, uint256 value) external returns (bool) {
		move(msg.sender, to, value);
		return true;
	}

	function transferFrom(address from, address to, uint256 value) external returns (bool) {
		allowance[from][msg.sender] -= value;
		move(from, to, value);
		return true;
	}

	function approve(address spender, uint256 value) external returns (bool) {
		allowance[msg.sender][spender] = value;
		emit Approval(msg.sender, spender, value);
		return true;
	}

	function move(address from, address to, uint256 value) private {
		balanceOf[from] -= value;
		balanceOf[to] += value;
		emit Transfer(from, to, value);
	}
}
